use super::*;

fn region(start: usize) -> Region {
    Region::new(std::ptr::without_provenance(start), 2, 256)
}

/// The calls of a token, some times; each has a region for either thread.
fn tokens(prefetcher: &Prefetcher, keys: &[usize], times: usize) {
    for key in keys.repeat(times) {
        prefetcher.begin_call([region(key), region(key + 1)].into_iter());
    }
}

fn expected_by(prefetcher: &Prefetcher, thread: usize) -> usize {
    prefetcher.slots[thread].get().starts[0]
}

#[test]
fn each_thread_learns_what_it_will_read_after_a_call() {
    let prefetcher = Prefetcher::new(2);
    let keys = [100, 200, 300];
    tokens(&prefetcher, &keys, 2);
    for (i, key) in keys.into_iter().enumerate() {
        prefetcher.begin_call([region(key), region(key + 1)].into_iter());
        let next = keys[(i + 1) % 3];
        assert_eq!([expected_by(&prefetcher, 0), expected_by(&prefetcher, 1)], [next, next + 1]);
    }
}

/// A prompt, another model or an early end come between.
#[test]
fn a_trail_that_was_left_is_found_again() {
    let prefetcher = Prefetcher::new(1);
    tokens(&prefetcher, &[100, 200, 300], 1);
    tokens(&prefetcher, &[700], 1);
    tokens(&prefetcher, &[100], 1);
    assert_eq!(expected_by(&prefetcher, 0), 200);
    tokens(&prefetcher, &[300], 1);
    assert_eq!(expected_by(&prefetcher, 0), 700);
}

#[test]
fn a_long_trail_restarts_and_stays_bounded() {
    let prefetcher = Prefetcher::new(1);
    let keys: Vec<usize> = (1..=CALLS_MAX + 7).collect();
    tokens(&prefetcher, &keys, 2);
    assert!(prefetcher.trail.lock().unwrap().keys.len() <= CALLS_MAX);
    let one = Prefetcher::new(1);
    tokens(&one, &[5], 3);
    assert_eq!(expected_by(&one, 0), 5);
}

#[test]
fn a_walk_ends_with_its_region_and_begins_with_the_next_call() {
    let prefetcher = Prefetcher::new(2);
    let mut cursor = Cursor::default();
    prefetcher.fetch(1, &mut cursor);
    assert_eq!(cursor.at, 0);
    tokens(&prefetcher, &[100, 200], 2);
    for _ in 0..50 {
        prefetcher.fetch(1, &mut cursor);
    }
    assert_eq!((cursor.region, cursor.at), (region(101), 256));
    tokens(&prefetcher, &[100], 1);
    prefetcher.fetch(1, &mut cursor);
    assert_eq!((cursor.region, cursor.at), (region(201), 256));
}

/// Passes of several rows read the same weights in other pieces.
#[test]
fn passes_of_one_row_and_of_several_are_told_apart() {
    let prefetcher = Prefetcher::new(1);
    let wide = |start| Region::new(std::ptr::without_provenance(start), 1, 4096);
    tokens(&prefetcher, &[100, 200], 1);
    for start in [100, 200] {
        prefetcher.begin_call(std::iter::once(wide(start)));
    }
    tokens(&prefetcher, &[100], 1);
    assert_eq!(prefetcher.slots[0].get(), region(200));
    prefetcher.begin_call(std::iter::once(wide(100)));
    assert_eq!(prefetcher.slots[0].get(), wide(200));
}

/// A long region is cut to what a cache holds, fewer regions than threads leave some with none,
/// and threads that are not served fetch nothing.
#[test]
fn what_is_fetched_is_bounded() {
    let prefetcher = Prefetcher::new(THREADS_MAX + 5);
    let long = Region::new(std::ptr::without_provenance(64), STREAMS, 1 << 30);
    for _ in 0..2 {
        prefetcher.begin_call(std::iter::once(long));
    }
    assert_eq!(prefetcher.slots[0].get().bytes, BYTES_MAX / STREAMS);
    assert_eq!(prefetcher.slots[1].get(), Region::default());
    let both = [long, region(128)];
    for regions in [&both[..], &both, &both[..1], &both[..1]] {
        prefetcher.begin_call(regions.iter().copied());
    }
    assert_eq!(prefetcher.slots[1].get(), Region::default());
    let mut cursor = Cursor::default();
    prefetcher.fetch(THREADS_MAX + 1, &mut cursor);
    assert_eq!(cursor.at, 0);
}
