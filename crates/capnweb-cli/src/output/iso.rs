//! Dates in the ISO 8601 format of JavaScript.

use capnweb::Date;

const DAY: i64 = 86_400_000;

/// Formats a date as `2026-01-31T12:30:00.000Z`.
pub(crate) fn format(date: Date) -> String {
    let Some(millis) = date.millis() else {
        return "Invalid Date".to_owned();
    };
    let (days, rest) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        // JavaScript writes other years with a sign and six digits.
        _ => format!("{}{:06}", if year < 0 { '-' } else { '+' }, year.abs()),
    };
    let (hours, minutes) = (rest / 3_600_000, rest / 60_000 % 60);
    let (seconds, millis) = (rest / 1000 % 60, rest % 1000);
    format!("{year}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

/// Parses dates such as `2026-01-31`, `2026-01-31T12:30Z` and `2026-01-31T12:30:00.5+01:00`. A date
/// without a time zone is in UTC.
pub(crate) fn parse(text: &str) -> Option<Date> {
    let text = text.trim();
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let year_len = if text.len() == unsigned.len() { 4 } else { 6 };
    let year = sign * digits(unsigned.get(..year_len)?)?;
    let rest = unsigned.get(year_len..)?.strip_prefix('-')?;
    let month = digits(rest.get(..2)?)?;
    let rest = rest.get(2..)?.strip_prefix('-')?;
    let day = digits(rest.get(..2)?)?;
    let rest = rest.get(2..)?;
    if !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    let mut millis = days(year, month, day) * DAY;
    if let Some(time) = rest.strip_prefix(['T', 't', ' ']) {
        millis += parse_time(time)?;
    } else if !rest.is_empty() {
        return None;
    }
    Some(Date::from_millis(millis)).filter(|date| date.is_valid())
}

fn parse_time(time: &str) -> Option<i64> {
    let zone = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = (time.get(..zone)?, time.get(zone..)?);
    let mut parts = clock.split(':');
    let (hours, minutes) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let mut millis = 0;
    if let Some(seconds) = parts.next() {
        let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
        let whole = digits(whole)?;
        if whole > 59 || fraction.bytes().any(|byte| !byte.is_ascii_digit()) {
            return None;
        }
        let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
        millis = whole * 1000 + digits(&fraction)?;
    }
    if parts.next().is_some() || hours > 23 || minutes > 59 {
        return None;
    }
    let offset = match zone {
        "" | "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let zone = zone.get(1..)?.replace(':', "");
            let (hours, minutes) = (digits(zone.get(..2)?)?, digits(zone.get(2..4)?)?);
            if zone.len() != 4 || hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes)
        }
    };
    Some(millis + (hours * 60 + minutes - offset) * 60_000)
}

fn digits(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days since the epoch. Internally years begin in March, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Returns year, month and day: the inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_javascript_does() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_769_862_600_500, "2026-01-31T12:30:00.500Z"),
            (8_640_000_000_000_000, "+275760-09-13T00:00:00.000Z"),
            (-8_640_000_000_000_000, "-271821-04-20T00:00:00.000Z"),
        ] {
            let date = Date::from_millis(millis);
            assert_eq!(format(date), text);
            assert_eq!(parse(text), Some(date), "{text}");
        }
        assert_eq!(format(Date::INVALID), "Invalid Date");
    }

    #[test]
    fn short_forms_and_zones_are_read() {
        let noon = Date::from_millis(1_769_860_800_000);
        for text in [
            "2026-01-31T12:00Z",
            "2026-01-31 12:00",
            "2026-01-31T13:00:00+01:00",
            "2026-01-31T04:30:00.000-0730",
        ] {
            assert_eq!(parse(text), Some(noon), "{text}");
        }
        assert_eq!(
            parse("2026-01-31"),
            Some(Date::from_millis(1_769_817_600_000))
        );
    }

    #[test]
    fn other_texts_are_no_dates() {
        for text in [
            "",
            "2026",
            "2026-1-31",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-31T",
            "2026-01-31T25:00",
            "2026-01-31T12:60",
            "2026-01-31T12:00:61",
            "2026-01-31T12:00+1",
            "2026-01-31T12:00:00.x",
            "tomorrow",
            "２０２６-01-31",
            "2026-01-31x",
            "+99999999-01-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
