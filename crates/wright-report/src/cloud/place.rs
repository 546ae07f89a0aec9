//! Boxes around a middle, none over another.

/// What a word takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Box {
    pub width: i64,
    pub height: i64,
}

/// Where boxes may lie, and how far apart the places are that are tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Canvas {
    pub width: i64,
    pub height: i64,
    pub step: (i64, i64),
}

/// The left upper corner of each box, or none where there is no room for it. Each in its turn goes
/// to the free place that is nearest to the middle, as the shape of the canvas measures it.
pub(super) fn place(boxes: &[Box], canvas: Canvas) -> Vec<Option<(i64, i64)>> {
    let middles = middles(canvas);
    let mut taken: Vec<((i64, i64), Box)> = Vec::new();
    boxes
        .iter()
        .map(|&size| {
            let corner = |&(x, y): &(i64, i64)| (x - size.width / 2, y - size.height / 2);
            let is_free = |&(x, y): &(i64, i64)| {
                x >= 0
                    && y >= 0
                    && x + size.width <= canvas.width
                    && y + size.height <= canvas.height
                    && taken.iter().all(|((left, top), other)| {
                        x >= left + other.width
                            || *left >= x + size.width
                            || y >= top + other.height
                            || *top >= y + size.height
                    })
            };
            let at = middles.iter().map(corner).find(is_free);
            taken.extend(at.map(|at| (at, size)));
            at
        })
        .collect()
}

/// Places for the middle of a box, from the middle of the canvas outwards.
fn middles(canvas: Canvas) -> Vec<(i64, i64)> {
    let (w, h) = (canvas.width.max(1), canvas.height.max(1));
    let (step_x, step_y) = canvas.step;
    let mut all: Vec<(i64, i64)> = (0..=h / step_y)
        .flat_map(|y| (0..=w / step_x).map(move |x| (x * step_x, y * step_y)))
        .collect();
    // Distances as parts of the canvas, squared; in 128 bits nothing overflows.
    let distance = |&(x, y): &(i64, i64)| {
        let (dx, dy) =
            (i128::from(2 * x - w) * i128::from(h), i128::from(2 * y - h) * i128::from(w));
        (dx * dx + dy * dy, y, x)
    };
    all.sort_by_key(distance);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_in_the_middle_and_what_has_no_room_has_no_place() {
        let canvas = Canvas { width: 100, height: 50, step: (5, 5) };
        let small = Box { width: 20, height: 10 };
        let places = place(&[small, small, Box { width: 101, height: 1 }], canvas);
        assert_eq!(places[0], Some((40, 20)));
        assert!(places[1].is_some() && places[1] != places[0]);
        assert_eq!(places[2], None);
        let full = place(&[Box { width: 100, height: 50 }, small], canvas);
        assert_eq!(full, [Some((0, 0)), None]);
    }
}
