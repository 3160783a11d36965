//! Few rows in which every value of every axis meets every value of every other one. Pure, and always the same.
//!
//! Most faults of options are faults of one value or of two that meet; all combinations would be some hundred thousand.
//! Greedy, a row at a time: it begins with a pair that no row has, and each further axis takes the value that meets most
//! of what is still missing (D. Cohen et al., "The AETG system", IEEE Transactions on Software Engineering 23 (1997),
//! has the idea; its rows are drawn by lot, these are not).

use std::collections::BTreeSet;

/// One value (`.1`) of one axis (`.0`).
pub(super) type Point = (usize, usize);

/// Rows of values, one number an axis, for axes with so many values each. Axes without values make no row. No row has
/// one of the pairs `never`, whose lower axis comes first; they must leave each axis a value whatever the others have.
pub(super) fn rows(sizes: &[usize], never: &[(Point, Point)]) -> Vec<Vec<usize>> {
    if sizes.contains(&0) {
        return Vec::new();
    }
    let mut missing = pairs(sizes);
    missing.retain(|pair| !never.contains(pair));
    let mut rows = Vec::new();
    if missing.is_empty() {
        // Fewer than two axes: nothing meets, and each value has a row.
        return (0..sizes.first().copied().unwrap_or(0)).map(|value| vec![value]).collect();
    }
    while let Some(&(first, second)) = missing.first() {
        let row = row(sizes, [first, second], &missing, never, rows.len());
        for pair in met(&row) {
            missing.remove(&pair);
        }
        rows.push(row);
    }
    rows
}

/// All pairs of values of different axes, the lower axis first.
pub(super) fn pairs(sizes: &[usize]) -> BTreeSet<(Point, Point)> {
    let points = |axis: usize| (0..sizes.get(axis).copied().unwrap_or(0)).map(move |value| (axis, value));
    let mut all = BTreeSet::new();
    for lower in 0..sizes.len() {
        for higher in lower + 1..sizes.len() {
            all.extend(points(lower).flat_map(|low| points(higher).map(move |high| (low, high))));
        }
    }
    all
}

/// The pairs of one row.
pub(super) fn met(row: &[usize]) -> impl Iterator<Item = (Point, Point)> {
    let points = || row.iter().copied().enumerate();
    points().flat_map(move |low| points().skip(low.0 + 1).map(move |high| (low, high)))
}

/// A row with these two points, and else what helps most; `turn` says where ties begin, so that they spread.
fn row(
    sizes: &[usize],
    start: [Point; 2],
    missing: &BTreeSet<(Point, Point)>,
    never: &[(Point, Point)],
    turn: usize,
) -> Vec<usize> {
    let mut fixed = start.to_vec();
    for (axis, size) in sizes.iter().copied().enumerate() {
        if start.iter().any(|point| point.0 == axis) {
            continue;
        }
        let pairs = |value: usize| {
            let new = (axis, value);
            fixed.iter().map(move |other| if other.0 < axis { (*other, new) } else { (new, *other) })
        };
        let allowed = |value: &usize| !pairs(*value).any(|pair| never.contains(&pair));
        let gain = |value: &usize| pairs(*value).filter(|pair| missing.contains(pair)).count();
        let values = (0..size).map(|offset| (turn + offset) % size).filter(allowed);
        // Of equals the first: `max_by_key` would take the last.
        let best = values.rev().max_by_key(gain).unwrap_or(0);
        fixed.push((axis, best));
    }
    fixed.sort_unstable();
    fixed.into_iter().map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing_of(sizes: &[usize], rows: &[Vec<usize>]) -> usize {
        let mut missing = pairs(sizes);
        for row in rows {
            assert_eq!(row.len(), sizes.len());
            assert!(row.iter().zip(sizes).all(|(value, size)| value < size), "{row:?} of {sizes:?}");
            for pair in met(row) {
                missing.remove(&pair);
            }
        }
        missing.len()
    }

    #[test]
    fn every_pair_is_met_and_no_row_is_in_vain() {
        for sizes in
            [&[2, 2][..], &[3, 1, 4], &[5, 5, 2, 2, 2], &[3, 5, 2, 2, 3, 5, 2, 3, 2, 3, 2, 3, 2], &[1, 1, 1]]
        {
            let made = rows(sizes, &[]);
            assert_eq!(missing_of(sizes, &made), 0, "{sizes:?}");
            for without in 0..made.len() {
                let mut fewer = made.clone();
                fewer.remove(without);
                // The last may be covered by others when they were made without it; the first never.
                if without == 0 {
                    assert!(missing_of(sizes, &fewer) > 0, "{sizes:?}: row {without} adds nothing");
                }
            }
            assert_eq!(made, rows(sizes, &[]), "not the same twice");
        }
    }

    #[test]
    fn there_are_not_many_more_than_there_must_be() {
        // The two longest axes alone need 25.
        let made = rows(&[3, 5, 2, 2, 3, 5, 2, 3, 2, 3, 2, 3, 2], &[]);
        assert!((25..=36).contains(&made.len()), "{} rows", made.len());
        // Two axes: all combinations, once each.
        assert_eq!(rows(&[3, 4], &[]).len(), 12);
    }

    #[test]
    fn what_does_not_go_together_never_meets_and_all_else_does() {
        let (sizes, never) = ([3, 5, 2, 5], [((1, 3), (3, 2)), ((0, 0), (2, 1))]);
        let made = rows(&sizes, &never);
        let mut missing = pairs(&sizes);
        made.iter().flat_map(|row| met(row)).for_each(|pair| _ = missing.remove(&pair));
        assert_eq!(missing.into_iter().collect::<Vec<_>>(), [never[1], never[0]]);
    }

    #[test]
    fn few_axes_are_no_special_case_for_the_caller() {
        assert_eq!(rows(&[], &[]), Vec::<Vec<usize>>::new());
        assert_eq!(rows(&[3], &[]), [[0], [1], [2]]);
        assert_eq!(rows(&[3, 0], &[]), Vec::<Vec<usize>>::new());
        assert_eq!(pairs(&[2, 3]).len(), 6);
        assert_eq!(met(&[1, 0, 2]).count(), 3);
    }
}
