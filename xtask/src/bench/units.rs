//! Units of measurement, and their formats.

/// The unit that a case counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Calls,
    Chains,
    Elements,
    Bytes,
    /// Sessions that are opened and closed.
    Sessions,
    /// Sessions that are held open. Memory is measured rather than time.
    Held,
}

const UNITS: &[(Unit, &str)] = &[
    (Unit::Calls, "calls"),
    (Unit::Chains, "chains"),
    (Unit::Elements, "elements"),
    (Unit::Bytes, "bytes"),
    (Unit::Sessions, "sessions"),
    (Unit::Held, "held sessions"),
];

impl Unit {
    pub(super) fn name(self) -> &'static str {
        let found = UNITS.iter().find(|(unit, _)| *unit == self);
        found.map_or("", |(_, name)| name)
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        let found = UNITS.iter().find(|(_, known)| *known == name);
        found.map(|(unit, _)| *unit)
    }

    /// Returns the head of the column with the result.
    pub(super) fn head(self) -> String {
        match self {
            Self::Bytes => "MB/s".to_owned(),
            Self::Held => "memory a session".to_owned(),
            unit => format!("{}/s", unit.name()),
        }
    }

    /// Formats a result for a table or chart.
    pub(super) fn amount(self, value: f64) -> String {
        match self {
            Self::Bytes => significant(value / 1e6),
            Self::Held => format!("{} KB", significant(value / 1e3)),
            _ => count(value),
        }
    }

    /// Returns whether more is better.
    pub(super) fn is_rate(self) -> bool {
        self != Self::Held
    }

    /// Returns the number of units that processor time is reported for, and its name.
    pub(super) fn share(self) -> (f64, &'static str) {
        match self {
            Self::Calls => (1.0, "call"),
            Self::Chains => (1.0, "chain"),
            Self::Elements => (1.0, "element"),
            Self::Bytes => (1024.0, "KiB"),
            Self::Sessions | Self::Held => (1.0, "session"),
        }
    }
}

/// Formats as `1.23 M`, `45.6 k`, `789`.
pub(super) fn count(value: f64) -> String {
    if value >= 999_500.0 {
        format!("{} M", significant(value / 1e6))
    } else if value >= 9_995.0 {
        format!("{} k", significant(value / 1e3))
    } else {
        format!("{value:.0}")
    }
}

/// Formats as `185 ns`, `12.3 µs`, `4.56 ms`.
pub(super) fn time(nanoseconds: f64) -> String {
    if nanoseconds >= 999_500.0 {
        format!("{} ms", significant(nanoseconds / 1e6))
    } else if nanoseconds >= 9_995.0 {
        format!("{} µs", significant(nanoseconds / 1e3))
    } else {
        format!("{} ns", significant(nanoseconds))
    }
}

/// Formats as `12.3 ×`.
pub(super) fn ratio(value: f64) -> String {
    format!("{}×", significant(value))
}

/// Formats with three significant digits, or with all digits before the decimal point.
pub(super) fn significant(value: f64) -> String {
    if value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Unit, count, ratio, time};

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(count(1_234_567.0), "1.23 M");
        assert_eq!(count(999_600.0), "1.00 M");
        assert_eq!(count(45_600.0), "45.6 k");
        assert_eq!(count(2_222.0), "2222");
        assert_eq!(time(185.4), "185 ns");
        assert_eq!(time(12_345.0), "12.3 µs");
        assert_eq!(time(4_560_000.0), "4.56 ms");
        assert_eq!(ratio(10.04), "10.0×");
        assert_eq!(Unit::Bytes.amount(35_651_584.0), "35.7");
        assert_eq!(Unit::Held.amount(8_192.0), "8.19 KB");
    }

    #[test]
    fn units_have_names() {
        for unit in [Unit::Calls, Unit::Bytes, Unit::Held] {
            assert_eq!(Unit::named(unit.name()), Some(unit));
        }
        assert_eq!(Unit::named("bananas"), None);
    }
}
