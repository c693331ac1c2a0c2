//! The in-memory engine passes the conformance tests of all engines.

use stomp_broker::{Engine, Memory, MemoryConfig, conformance};

#[tokio::test(start_paused = true)]
async fn the_in_memory_engine_conforms() {
    let engine = Memory::new(MemoryConfig::default()).unwrap();
    if let Err(error) = conformance::check(&engine).await {
        panic!("{error}");
    }
    let statistics = engine.statistics().await.unwrap();
    assert_eq!(statistics.temporary_queues, 0);
    assert!(
        statistics
            .destinations
            .iter()
            .all(|it| it.subscribers == 0 && it.waiting == 0),
        "{statistics:?}"
    );
}
