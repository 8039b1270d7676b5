//! Results of measurements, stored as JSON.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Failure, Result};

use super::plan::Kind;
use super::statistics::Spread;
use super::units::Unit;

#[derive(Default)]
pub(super) struct Results {
    /// The machine and versions of the last measurement.
    pub(super) machine: Vec<String>,
    pub(super) groups: Vec<Group>,
}

pub(super) struct Group {
    pub(super) id: String,
    pub(super) measurements: Vec<Measurement>,
}

pub(super) struct Measurement {
    pub(super) id: String,
    pub(super) title: String,
    /// The date and duration of the measurement.
    pub(super) note: String,
    pub(super) unit: Unit,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) label: String,
    pub(super) kind: Kind,
    pub(super) is_reference: bool,
    pub(super) samples: Vec<Sample>,
    /// The reason why there are no samples, or fewer than expected.
    pub(super) missing: Option<String>,
}

/// The result of one round of one program.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) units: f64,
    pub(super) seconds: f64,
    /// The processor time in nanoseconds during these seconds.
    pub(super) server_time: Option<f64>,
    pub(super) client_time: Option<f64>,
    /// The number of bytes by which the server has grown since before the client connected.
    pub(super) server_growth: Option<f64>,
}

impl Sample {
    /// Returns units per second, or bytes per unit for memory.
    pub(super) fn result(&self, unit: Unit) -> Option<f64> {
        let result = match unit {
            Unit::Held => self.server_growth? / self.units,
            _ => self.units / self.seconds,
        };
        result.is_finite().then_some(result)
    }
}

impl Row {
    /// Returns units per second, or bytes per unit for memory.
    pub(super) fn result(&self, unit: Unit) -> Option<Spread> {
        Spread::of(self.samples.iter().filter_map(|sample| sample.result(unit)))
    }

    /// Returns the median processor time per unit, in nanoseconds.
    pub(super) fn time_a_unit(&self, of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let values = self
            .samples
            .iter()
            .filter_map(|sample| Some(of(sample)? / sample.units));
        Spread::of(values.filter(|value| value.is_finite())).map(|spread| spread.median)
    }
}

impl Measurement {
    /// Returns the row that the others are compared with.
    pub(super) fn reference(&self) -> Option<&Row> {
        let marked = self.rows.iter().find(|row| row.is_reference);
        marked.or(self.rows.first())
    }
}

impl Results {
    /// Adds a group. Its measurements replace earlier ones with the same ID.
    pub(super) fn put(&mut self, group: Group) {
        let Some(known) = self.groups.iter_mut().find(|known| known.id == group.id) else {
            self.groups.push(group);
            return;
        };
        for measurement in group.measurements {
            match known
                .measurements
                .iter_mut()
                .find(|one| one.id == measurement.id)
            {
                Some(one) => *one = measurement,
                None => known.measurements.push(measurement),
            }
        }
    }

    /// Loads the results from a file. A missing file has none.
    pub(super) fn load(file: &Path) -> Result<Self> {
        let Ok(text) = std::fs::read_to_string(file) else {
            return Ok(Self::default());
        };
        serde_json::from_str(&text)
            .ok()
            .and_then(|value| Self::read(&value))
            .ok_or_else(|| {
                Failure::new(format!(
                    "{} is not what this version writes; delete it",
                    file.display()
                ))
            })
    }

    pub(super) fn save(&self, file: &Path) -> Result {
        let text = serde_json::to_string_pretty(&self.write()).unwrap_or_default();
        std::fs::write(file, text)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))
    }

    fn write(&self) -> Value {
        let groups: Vec<_> = self.groups.iter().map(Group::write).collect();
        json!({ "machine": self.machine, "groups": groups })
    }

    fn read(value: &Value) -> Option<Self> {
        let machine = list(value, "machine")?.iter();
        Some(Self {
            machine: machine.map(text_of).collect::<Option<_>>()?,
            groups: all(value, "groups", Group::read)?,
        })
    }
}

impl Group {
    fn write(&self) -> Value {
        let measurements: Vec<_> = self.measurements.iter().map(Measurement::write).collect();
        json!({ "id": self.id, "measurements": measurements })
    }

    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            id: text(value, "id")?,
            measurements: all(value, "measurements", Measurement::read)?,
        })
    }
}

impl Measurement {
    fn write(&self) -> Value {
        let rows: Vec<_> = self.rows.iter().map(Row::write).collect();
        json!({
            "id": self.id,
            "title": self.title,
            "note": self.note,
            "unit": self.unit.name(),
            "rows": rows,
        })
    }

    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            id: text(value, "id")?,
            title: text(value, "title")?,
            note: text(value, "note")?,
            unit: Unit::named(&text(value, "unit")?)?,
            rows: all(value, "rows", Row::read)?,
        })
    }
}

const KINDS: &[(Kind, &str)] = &[
    (Kind::Ours, "ours"),
    (Kind::Other, "other"),
    (Kind::Floor, "floor"),
];

impl Row {
    fn write(&self) -> Value {
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        let samples: Vec<_> = self.samples.iter().map(Sample::write).collect();
        json!({
            "label": self.label,
            "kind": kind.map(|(_, name)| name),
            "reference": self.is_reference,
            "samples": samples,
            "missing": self.missing,
        })
    }

    fn read(value: &Value) -> Option<Self> {
        let kind = text(value, "kind")?;
        Some(Self {
            label: text(value, "label")?,
            kind: KINDS.iter().find(|(_, name)| *name == kind)?.0,
            is_reference: value.get("reference")?.as_bool()?,
            samples: all(value, "samples", Sample::read)?,
            missing: value.get("missing").and_then(text_of),
        })
    }
}

impl Sample {
    fn write(&self) -> Value {
        json!({
            "units": self.units,
            "seconds": self.seconds,
            "serverNanoseconds": self.server_time,
            "clientNanoseconds": self.client_time,
            "serverGrownBytes": self.server_growth,
        })
    }

    fn read(value: &Value) -> Option<Self> {
        let number = |key: &str| value.get(key)?.as_f64();
        Some(Self {
            units: number("units")?,
            seconds: number("seconds")?,
            server_time: number("serverNanoseconds"),
            client_time: number("clientNanoseconds"),
            server_growth: number("serverGrownBytes"),
        })
    }
}

fn list<'a>(value: &'a Value, key: &str) -> Option<&'a Vec<Value>> {
    value.get(key)?.as_array()
}

fn all<T>(value: &Value, key: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    list(value, key)?.iter().map(read).collect()
}

fn text(value: &Value, key: &str) -> Option<String> {
    text_of(value.get(key)?)
}

fn text_of(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Group, Kind, Measurement, Results, Row, Sample, Unit};

    /// Returns a row with rounds of one second and these numbers of units.
    pub(crate) fn row(label: &str, kind: Kind, units: &[f64]) -> Row {
        let sample = |units: &f64| Sample {
            units: *units,
            seconds: 1.0,
            server_time: Some(5e8),
            client_time: None,
            server_growth: None,
        };
        Row {
            label: label.to_owned(),
            kind,
            is_reference: false,
            samples: units.iter().map(sample).collect(),
            missing: units.is_empty().then(|| "it is not there".to_owned()),
        }
    }

    pub(crate) fn results() -> Results {
        let rows = vec![
            row("ours", Kind::Ours, &[1e6, 3e6, 2e6]),
            row("theirs", Kind::Other, &[1e5]),
            row("nobody's", Kind::Other, &[]),
        ];
        let measurement = Measurement {
            id: "calls-1".to_owned(),
            title: "One at a time".to_owned(),
            note: "today".to_owned(),
            unit: Unit::Calls,
            rows,
        };
        Results {
            machine: vec!["a machine".to_owned()],
            groups: vec![Group {
                id: "calls".to_owned(),
                measurements: vec![measurement],
            }],
        }
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let written = results().write();
        let read = Results::read(&written).unwrap();
        assert_eq!(read.write(), written);
        assert!(Results::read(&serde_json::json!({ "machine": 1 })).is_none());
    }

    #[test]
    fn what_is_measured_again_takes_the_place_of_what_was() {
        let mut all = results();
        let mut again = results().groups.remove(0);
        again.measurements[0].rows.truncate(1);
        all.put(again);
        assert_eq!(all.groups.len(), 1);
        assert_eq!(all.groups[0].measurements[0].rows.len(), 1);
        let mut other = results().groups.remove(0);
        other.measurements[0].id = "calls-64".to_owned();
        all.put(other);
        assert_eq!(all.groups[0].measurements.len(), 2);
    }

    #[test]
    fn memory_is_counted_by_session() {
        let mut row = row("ours", Kind::Ours, &[100.0]);
        row.samples[0].server_growth = Some(800_000.0);
        assert_eq!(row.result(Unit::Held).unwrap().median, 8_000.0);
        assert_eq!(row.result(Unit::Calls).unwrap().median, 100.0);
        assert_eq!(row.time_a_unit(|sample| sample.server_time), Some(5e6));
    }
}
