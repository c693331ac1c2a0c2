//! The engine in memory does what every engine has to.

use stomp_broker::{Config, Engine, Memory, conformance};

#[tokio::test(start_paused = true)]
async fn the_engine_in_memory_conforms() {
    let engine = Memory::new(Config::default());
    if let Err(failure) = conformance::check(&engine).await {
        panic!("{failure}");
    }
    let statistics = engine.statistics();
    assert_eq!(statistics.temporary_queues, 0);
    assert!(
        statistics
            .destinations
            .iter()
            .all(|it| it.subscribers == 0 && it.waiting == 0),
        "{statistics:?}"
    );
}
