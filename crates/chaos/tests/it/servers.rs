//! The servers: what is done to them happens to them, and they are themselves again afterwards.

use std::time::{Duration, Instant};

use confab_chaos::supervisor::{Postgres, RabbitMq, Redis};
use confab_testkit::eventually;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_what_it_confirmed_when_it_is_killed() {
    let mut postgres = Postgres::start().await;
    postgres.create("kept").await;
    postgres
        .query("kept", "CREATE TABLE said (word text)")
        .await;
    postgres
        .query("kept", "INSERT INTO said VALUES ('one')")
        .await;
    let address = postgres.address();
    for round in 1..=3 {
        // Somebody in the middle of something does not delay the end.
        let _busy = postgres.begin("kept", "SELECT pg_sleep(60)");
        let query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND datname = 'kept'";
        eventually("somebody is busy", async || {
            (postgres.query("postgres", query).await == "1").then_some(())
        })
        .await;
        let began = Instant::now();
        postgres.kill().await;
        assert!(TcpStream::connect(address).await.is_err());
        postgres.run().await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "{took:?}");
        let count = postgres.query("kept", "SELECT count(*) FROM said").await;
        assert_eq!(count, round.to_string());
        postgres
            .query("kept", "INSERT INTO said VALUES ('more')")
            .await;
    }
    assert_eq!(postgres.address(), address);
    postgres.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_careful() {
    let postgres = Postgres::start_with(&[("max_connections", "17")]).await;
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("max_connections", "17"),
    ] {
        let found = postgres.query("postgres", &format!("SHOW {setting}")).await;
        assert_eq!(found, value, "{setting}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_that_is_frozen_answers_once_it_is_thawed() {
    let postgres = Postgres::start().await;
    postgres.freeze();
    let mut asked = postgres.begin("postgres", "SELECT 1");
    // Far more than an answer takes: that none comes cannot be waited for.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(asked.runs());
    postgres.thaw();
    assert!(asked.until_ended().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backends_of_a_database_are_ended_and_no_others() {
    let postgres = Postgres::start().await;
    postgres.create("mine").await;
    let mut mine = postgres.begin("mine", "SELECT pg_sleep(60)");
    let mut others = postgres.begin("postgres", "SELECT pg_sleep(60)");
    let query = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'";
    eventually("both sleep", async || {
        (postgres.query("postgres", query).await == "2").then_some(())
    })
    .await;
    assert_eq!(postgres.terminate_backends("mine").await, 1);
    assert!(!mine.until_ended().await);
    assert!(others.runs());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_becomes_what_it_was_when_it_was_dumped() {
    let postgres = Postgres::start().await;
    postgres.create("kept").await;
    let word = "SELECT word FROM said";
    postgres
        .query("kept", "CREATE TABLE said AS SELECT 'before' AS word")
        .await;
    let dump = postgres.dump("kept").await;
    postgres
        .query("kept", "UPDATE said SET word = 'after'")
        .await;
    assert_eq!(postgres.query("kept", word).await, "after");
    postgres.restore("kept", &dump).await;
    assert_eq!(postgres.query("kept", word).await, "before");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_comes_back_empty() {
    let mut redis = Redis::start().await;
    let address = redis.address();
    redis.command(&["SET", "word", "one"]).await;
    redis.kill().await;
    assert!(TcpStream::connect(address).await.is_err());
    redis.run().await;
    assert_eq!(redis.address(), address);
    assert_eq!(redis.command(&["DBSIZE"]).await, "0");
    redis.command(&["SET", "word", "two"]).await;
    redis.flush_all().await;
    assert_eq!(redis.command(&["DBSIZE"]).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_takes_nothing_when_it_is_full() {
    let redis = Redis::start().await;
    redis.limit_memory(1).await;
    let refused = redis
        .try_command(&["SET", "word", "one"])
        .await
        .unwrap_err();
    assert!(refused.contains("OOM"), "{refused}");
    redis.limit_memory(0).await;
    redis.command(&["SET", "word", "one"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_keeps_its_place_when_it_is_killed() {
    let mut rabbitmq = RabbitMq::start().await;
    let address = rabbitmq.address();
    assert!(TcpStream::connect(address).await.is_ok());
    rabbitmq.kill();
    assert!(TcpStream::connect(address).await.is_err());
    rabbitmq.run().await;
    assert!(TcpStream::connect(address).await.is_ok());
    assert_eq!(rabbitmq.queues().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_has_no_connection_left_while_all_are_taken() {
    let postgres = Postgres::start_with(&[("max_connections", "10")]).await;
    let taken = postgres.occupy().await;
    assert!(taken.len() >= 7, "{}", taken.len());
    let refused = postgres.try_query("postgres", "SELECT 1").await;
    assert!(refused.is_err());
    drop(taken);
    eventually("there are connections again", async || {
        postgres.try_query("postgres", "SELECT 1").await.ok()
    })
    .await;
}
