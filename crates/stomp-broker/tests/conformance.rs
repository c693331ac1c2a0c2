//! Engines pass the conformance tests of all engines.

use stomp_broker::{Memory, MemoryConfig, conformance};

#[tokio::test(start_paused = true)]
async fn the_in_memory_engine_conforms() {
    let config = MemoryConfig::default().max_retained_messages(100);
    let report = conformance::check(|| async { Ok(Memory::new(config.clone())?) })
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let skipped = report.skipped().iter();
    let skipped = skipped.filter(|test| !test.starts_with("refusals: "));
    assert_eq!(skipped.collect::<Vec<_>>(), [""; 0]);
}
