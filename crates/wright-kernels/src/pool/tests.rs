use super::*;
use std::sync::atomic::AtomicU64;

#[test]
fn every_task_runs_once_for_any_number_of_threads() {
    for threads in [0, 1, 2, 3, 8] {
        let pool = Pool::new(threads);
        assert_eq!(pool.threads(), threads.max(1));
        for n in [0, 1, 2, 3, 17, 1000] {
            let ran: Vec<AtomicU64> = (0..n).map(|_| AtomicU64::new(0)).collect();
            pool.run(n, &|i| {
                ran[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(ran.iter().all(|r| r.load(Ordering::Relaxed) == 1), "{threads} threads, {n}");
        }
    }
}

#[test]
fn calls_in_quick_succession_do_not_mix() {
    let pool = Pool::new(4);
    for round in 0..20_000_u64 {
        let sum = AtomicU64::new(0);
        let n = 1 + round % 7;
        pool.run(n as usize, &|i| {
            sum.fetch_add(round * 10 + i as u64, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), n * round * 10 + n * (n - 1) / 2);
    }
}

#[test]
fn workers_wake_after_they_parked() {
    let pool = Pool::new(3);
    for _ in 0..5 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        let sum = AtomicU64::new(0);
        pool.run(100, &|i| {
            sum.fetch_add(i as u64, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 4950);
    }
}

#[test]
fn a_call_inside_a_task_runs_in_place_and_two_callers_take_turns() {
    let pool = Pool::new(2);
    let sum = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..100 {
                    pool.run(4, &|_| {
                        pool.run(3, &|i| {
                            sum.fetch_add(i as u64, Ordering::Relaxed);
                        })
                    });
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), 3 * 100 * 4 * 3);
}

#[test]
fn chunks_cover_the_slice_once() {
    let pool = Pool::new(2);
    let mut data = vec![0_usize; 103];
    pool.for_chunks(&mut data, 10, |i, piece| {
        assert_eq!(piece.len(), if i == 10 { 3 } else { 10 });
        piece.iter_mut().for_each(|x| *x += i + 1);
    });
    assert!(data.iter().enumerate().all(|(i, &x)| x == i / 10 + 1));
}

const CHILD: &str = "WRIGHT_POOL_TEST_PANICS";

/// Runs itself again as a child whose task panics, on each side of the pool.
#[test]
fn a_panic_in_a_task_ends_the_process_with_its_message() {
    if let Ok(threads) = std::env::var(CHILD) {
        let pool = Pool::new(threads.parse().unwrap());
        pool.run(8, &|i| assert!(i != 5, "task five fell over"));
        return;
    }
    for threads in ["1", "2", "4"] {
        let me = std::env::current_exe().unwrap();
        let name = "pool::tests::a_panic_in_a_task_ends_the_process_with_its_message";
        let out = std::process::Command::new(me)
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, threads)
            .output()
            .unwrap();
        assert!(!out.status.success());
        assert_eq!(out.status.code(), None, "ended by a signal and not by a failed test");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(said.contains("task five fell over"), "{said}");
    }
}
