//! The table of metrics in the guide.

use crate::{app, support::Server};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};
use stomp_testing::frames::send;
use webstomp::{
    Topic,
    broker::{Broker, BrokerMetrics},
};

/// Notes which metrics are described, and which are registered with which labels.
#[derive(Default)]
struct Names {
    described: Mutex<BTreeMap<String, &'static str>>,
    registered: Mutex<BTreeMap<String, (&'static str, BTreeSet<String>)>>,
}

impl Names {
    fn describe(&self, name: &KeyName, kind: &'static str, unit: Option<Unit>) {
        let name = name.as_str().to_owned();
        let expected = match unit.unwrap() {
            Unit::Bytes => "_bytes",
            Unit::Seconds => "_seconds",
            _ => "",
        };
        let base = name.strip_suffix("_total").unwrap_or(&name);
        assert!(base.ends_with(expected), "the unit of {name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        self.described.lock().unwrap().insert(name, kind);
    }

    fn register(&self, key: &Key, kind: &'static str) {
        let labels = key.labels().map(|label| label.key().to_owned()).collect();
        let name = key.name().to_owned();
        self.registered.lock().unwrap().insert(name, (kind, labels));
    }
}

impl Recorder for Names {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "counter", unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "gauge", unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "histogram", unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.register(key, "counter");
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.register(key, "gauge");
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.register(key, "histogram");
        Histogram::noop()
    }
}

/// The rows `| name | type | labels | …` of the guide.
fn rows() -> BTreeMap<String, (&'static str, BTreeSet<String>)> {
    let cells = |line: &'static str| -> Option<Vec<&'static str>> {
        let row = line.strip_prefix("//! | `webstomp_")?;
        Some(row.split('|').map(str::trim).collect())
    };
    include_str!("../../src/lib.rs")
        .lines()
        .filter_map(cells)
        .map(|cells| {
            let [name, kind, labels, ..] = cells[..] else {
                panic!("{cells:?}")
            };
            let name = format!("webstomp_{}", name.trim_end_matches('`'));
            let labels = labels.split(", ").map(|it| it.trim_matches('`').to_owned());
            (name, (kind, labels.filter(|it| !it.is_empty()).collect()))
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_table_of_the_guide_has_exactly_the_metrics_that_exist() {
    let names = Names::default();
    let guard = metrics::set_default_local_recorder(&names);
    let server = Server::new(app(&Topic::new()));
    let _ = server
        .handshake(&[("origin", "https://evil.example")])
        .await;
    server.client().await.receipt(send("/echo/a", "")).await;
    BrokerMetrics::new(&Broker::new(Default::default()).unwrap(), []).unwrap();
    drop(guard);
    let registered = names.registered.into_inner().unwrap();
    assert_eq!(rows(), registered);
    let described = names.described.into_inner().unwrap();
    let kinds = registered.into_iter().map(|(name, (kind, _))| (name, kind));
    assert_eq!(described, kinds.collect());
}
