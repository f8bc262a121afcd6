//! Keeps of a daemon's records what the picture needs, so that a scene is small.

use std::collections::HashSet;

use engine::watch::{
    StepRecord, WatchEvent, WatchRecord,
    words::{printable, with_short_ids},
};
use serde_json::{Value, json};

use super::{Call, EngineScene};

/// A request with this in its query is the demonstration's own, and not shown.
pub(super) const OWN: &str = "isolab-demo=1";

/// No more of them are kept.
const MOST_RECORDS: usize = 60;
const MOST_CALLS: usize = 300;
/// How much of a call is kept, in letters.
const LONGEST_CALL: usize = 600;

/// Adds records to a scene.
#[derive(Debug, Default)]
pub(super) struct RecordFilter {
    /// The connections of the demonstration's own requests.
    own: HashSet<u64>,
}

impl RecordFilter {
    /// Adds what `record` shows.
    pub(super) fn add(&mut self, record: WatchRecord, scene: &mut EngineScene) {
        if let WatchEvent::Request(request) = &record.event
            && request.query.contains(OWN)
        {
            self.own.extend(record.connection);
        }
        if record.connection.is_some_and(|number| self.own.contains(&number)) {
            return;
        }
        match record.event {
            WatchEvent::Step(step) if scene.calls.len() < MOST_CALLS => {
                scene.calls.push(call(record.time, &step));
            }
            WatchEvent::Step(_) => {}
            event if scene.records.len() < MOST_RECORDS => {
                let record = WatchRecord { container: None, event: small(event), ..record };
                scene.records.push(record);
            }
            _ => {}
        }
    }
}

fn call(time: f64, step: &StepRecord) -> Call {
    let text = printable(&with_short_ids(&step.call));
    Call {
        question: step.question,
        time,
        microseconds: (step.took * 1e6) as u32,
        call: text.chars().take(LONGEST_CALL).collect(),
    }
}

/// The same without the parts of an answer that are not put into words.
fn small(event: WatchEvent) -> WatchEvent {
    let WatchEvent::Answer(mut answer) = event else { return event };
    answer.body = answer.body.map(|body| match body {
        Value::Array(all) => all.iter().map(|_| Value::Null).collect(),
        Value::Object(mut fields) => {
            let status = fields.get("State").map(|state| json!({ "Status": state["Status"] }));
            let kept = ["Id", "Name", "ExitCode", "message"];
            fields.retain(|name, _| kept.contains(&name.as_str()));
            fields.extend(status.map(|status| ("State".to_owned(), status)));
            Value::Object(fields)
        }
        other => other,
    });
    WatchEvent::Answer(answer)
}

#[cfg(test)]
mod tests {
    use engine::watch::RequestRecord;

    use super::*;

    fn request(connection: u64, query: &str) -> WatchRecord {
        let request = RequestRecord { query: query.into(), ..RequestRecord::default() };
        let event = WatchEvent::Request(request);
        WatchRecord { time: 1.0, connection: Some(connection), container: None, event }
    }

    #[test]
    fn the_demonstrations_own_requests_are_not_shown() {
        let (mut filter, mut scene) = (RecordFilter::default(), EngineScene::default());
        filter.add(request(1, OWN), &mut scene);
        let event = WatchEvent::Upgraded { status: 101 };
        filter.add(
            WatchRecord { time: 1.0, connection: Some(1), container: None, event },
            &mut scene,
        );
        filter.add(request(2, "all=1"), &mut scene);
        assert_eq!(scene.records.len(), 1);
    }

    #[test]
    fn a_scene_stays_small() {
        let (mut filter, mut scene) = (RecordFilter::default(), EngineScene::default());
        for number in 0..1000 {
            filter.add(request(number, ""), &mut scene);
            let step = StepRecord {
                question: sandbox::Question::Inside,
                call: "x".repeat(1000),
                took: 1e-6,
            };
            let event = WatchEvent::Step(step);
            filter.add(
                WatchRecord { time: 1.0, connection: None, container: None, event },
                &mut scene,
            );
        }
        assert_eq!((scene.records.len(), scene.calls.len()), (MOST_RECORDS, MOST_CALLS));
        assert!(scene.calls.iter().all(|call| call.call.len() == LONGEST_CALL));
    }
}
