//! Numbers as columns of eighths of a character cell. Pure.

/// From nothing to a full cell.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The character in this row, counted from the bottom, of a column that is `value` of `most` high in a chart of `rows`.
/// What is more than nothing is seen.
pub(super) fn cell(value: u64, most: u64, rows: usize, row: usize) -> char {
    let rows = u128::try_from(rows).unwrap_or(1);
    let height = (u128::from(value) * rows * 8).div_ceil(u128::from(most.max(1)));
    let below = u128::try_from(row).unwrap_or(0) * 8;
    let part = usize::try_from(height.saturating_sub(below).min(8)).unwrap_or(8);
    EIGHTHS.get(part).copied().unwrap_or('█')
}

/// A signal as four bars of growing height; `of_four` of them are lit, and the others said apart.
pub(super) fn bars(of_four: usize) -> (String, String) {
    let all = ['▂', '▄', '▆', '█'];
    let lit = of_four.min(all.len());
    (all.iter().take(lit).collect(), all.iter().skip(lit).collect())
}

/// dBm as bars, as telephones draw them.
pub(super) fn bars_of_dbm(dbm: i32) -> usize {
    match dbm {
        -55.. => 4,
        -67..=-56 => 3,
        -75..=-68 => 2,
        -85..=-76 => 1,
        _ => 0,
    }
}

/// Percent as bars.
pub(super) fn bars_of_percent(percent: u32) -> usize {
    match percent {
        75.. => 4,
        50..=74 => 3,
        25..=49 => 2,
        1..=24 => 1,
        0 => 0,
    }
}

/// The axis' end for this: 1, 2 or 5 times a power of ten, and no less than 10 000.
pub(super) fn axis(most: u64) -> u64 {
    let mut step: u64 = 10_000;
    loop {
        for times in [1, 2, 5] {
            let end = step.saturating_mul(times);
            if end >= most || end == u64::MAX {
                return end;
            }
        }
        step = step.saturating_mul(10);
    }
}

/// Octets a second, in at most nine characters.
pub(super) fn rate(octets: u64) -> String {
    const UNITS: [&str; 6] = ["kB/s", "MB/s", "GB/s", "TB/s", "PB/s", "EB/s"];
    if octets < 1000 {
        return format!("{octets} B/s");
    }
    let (mut unit, mut tenths) = (0, octets / 100);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        unit += 1;
        tenths /= 1000;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if tenths < 1000 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", tenths / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let column = |value| (0..2).map(|row| cell(value, 100, 2, row)).collect::<String>();
        assert_eq!([0, 1, 50, 75, 100, 900].map(column), ["  ", "▁ ", "█ ", "█▄", "██", "██"]);
        assert_eq!(cell(u64::MAX, 0, 5, 4), '█');
    }

    #[test]
    fn axes_and_rates() {
        assert_eq!([0, 10_001, 20_001, 51_000].map(axis), [10_000, 20_000, 50_000, 100_000]);
        assert_eq!(axis(u64::MAX), u64::MAX);
        assert_eq!(
            [0, 999, 1000, 54_321, 123_456, 1_234_567, 5_000_000_000].map(rate),
            ["0 B/s", "999 B/s", "1.0 kB/s", "54.3 kB/s", "123 kB/s", "1.2 MB/s", "5.0 GB/s"]
        );
        assert_eq!(bars(3), ("▂▄▆".to_owned(), "█".to_owned()));
        assert_eq!([-40, -60, -70, -80, -99].map(bars_of_dbm), [4, 3, 2, 1, 0]);
    }
}
