use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::config::Clock;
use crate::event::{Action, Retraction};
use crate::ids::{Id, UserKey};
use crate::journal::Options;
use crate::journal::watched::Watched;
use crate::record::decode_frame;
use crate::server::queue::Refused;
use crate::storage::Directory;

const PATIENCE: Duration = Duration::from_millis(50);

/// A running applier on the events' clock, and what goes into its journal.
struct Bench {
    queue: Queue,
    thread: JoinHandle<Result<(), ApplierError>>,
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
}

fn bench(events_max: usize, frames_max: usize) -> Bench {
    let journal = Watched::new(frames_max);
    let frames = Arc::clone(&journal.frames);
    let ground = Ground { journal: Box::new(journal), ..Ground::in_memory() };
    let (queue, thread) = run_on(ground, events_max);
    Bench { queue, thread, frames }
}

fn run_on(ground: Ground, events_max: usize) -> (Queue, JoinHandle<Result<(), ApplierError>>) {
    let clock = Arc::new(ServiceClock::new(Clock::Events));
    start(ground, clock, Arc::default(), events_max).unwrap()
}

impl Bench {
    fn records(&self) -> Vec<Record> {
        self.frames.lock().unwrap().iter().flat_map(|frame| decode_frame(frame).unwrap()).collect()
    }
}

fn forget(user: u64, at: u64) -> Occurrence {
    Occurrence { occurred_at: Some(Timestamp(at)), event_id: None, event: Event::Forget(UserKey(user)) }
}

/// An action with names as long as can be: more than half a kibibyte.
fn large() -> Occurrence {
    let name = |letter: &str| Id::new(letter.repeat(128)).unwrap();
    let action = Action {
        user: UserKey(1),
        advertiser: name("a"),
        action: name("b"),
        item: Some(name("i")),
        category: Some(name("c")),
        value: None,
    };
    Occurrence { occurred_at: Some(Timestamp(1)), event_id: None, event: Event::Action(action) }
}

#[tokio::test]
async fn records_are_stamped_in_order_with_a_tick_for_each_second() {
    let bench = bench(100, usize::MAX);
    let events = vec![forget(1, 10_500), forget(2, 10_900), forget(3, 9_000), forget(4, 12_100)];
    let answer = bench.queue.track(events, Some(PATIENCE)).await.unwrap().await.unwrap();
    assert_eq!(answer.len(), 4);
    let read: Vec<_> = bench.records().into_iter().map(|one| (one.at.0, one.occurred_at.0, one.event)).collect();
    let expected = [
        (10_000, 10_000, Event::Tick),
        (10_500, 10_500, Event::Forget(UserKey(1))),
        (10_900, 10_900, Event::Forget(UserKey(2))),
        (10_900, 9_000, Event::Forget(UserKey(3))),
        (12_000, 12_000, Event::Tick),
        (12_100, 12_100, Event::Forget(UserKey(4))),
    ];
    assert_eq!(read, expected);
}

#[tokio::test]
async fn answers_come_in_the_order_of_questions_and_know_of_what_was_queued_before() {
    let bench = bench(1_000, usize::MAX);
    let mut answers = Vec::new();
    for count in 1..=20_usize {
        let events = (0..count as u64).map(|user| forget(user, 1_000)).collect();
        answers.push((count, bench.queue.track(events, Some(PATIENCE)).await.unwrap()));
    }
    let seq = bench.queue.ask(PATIENCE, |_, seq| seq).await.unwrap();
    assert!(seq >= Seq(1));
    assert_eq!(bench.queue.applied(), seq);
    for (count, answer) in answers {
        assert_eq!(answer.await.unwrap().len(), count);
    }
    let forgotten = bench.records().into_iter().filter(|one| one.event != Event::Tick).count();
    assert_eq!(forgotten, (1..=20).sum::<usize>());
}

#[tokio::test]
async fn what_does_not_fit_one_frame_goes_into_several() {
    let bench = bench(10_000, usize::MAX);
    let answer = bench.queue.track(vec![large(); 1_000], Some(PATIENCE)).await.unwrap().await.unwrap();
    assert_eq!(answer.len(), 1_000);
    assert!(bench.frames.lock().unwrap().len() > 1);
    assert!(bench.frames.lock().unwrap().iter().all(|frame| frame.len() <= crate::record::GATHERED_BYTES_MAX));
    assert_eq!(bench.records().len(), 1_000);
}

#[tokio::test]
async fn a_failed_journal_ends_the_applier_and_everything_after() {
    let bench = bench(100, 1);
    let retraction = Retraction { advertiser: Id::literal("a"), conversion_id: Id::literal("c") };
    let one = || Occurrence { occurred_at: None, event_id: None, event: Event::Retraction(retraction.clone()) };
    bench.queue.track(vec![one()], Some(PATIENCE)).await.unwrap().await.unwrap();
    let lost = bench.queue.track(vec![one()], Some(PATIENCE)).await.unwrap();
    assert!(lost.await.is_err(), "nothing is acknowledged that is not in the journal");
    bench.queue.ended().await;
    assert_eq!(bench.queue.track(vec![one()], None).await.unwrap_err(), Refused::Stopped);
    assert_eq!(bench.queue.ask(PATIENCE, |_, seq| seq).await.unwrap_err(), Refused::Stopped);
    let failure = bench.thread.join().unwrap().unwrap_err();
    assert_eq!(failure.to_string(), "the journal failed after frame 1");
}

#[tokio::test]
async fn a_full_queue_refuses_soon_and_takes_again_later() {
    let bench = bench(4, usize::MAX);
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let queue = bench.queue.clone();
    let (started, has_started) = oneshot::channel();
    let busy = tokio::spawn(async move {
        let wait = move |_: &Engine, _| {
            started.send(()).unwrap();
            let _ = held.recv();
        };
        queue.ask(PATIENCE, wait).await
    });
    has_started.await.unwrap();
    let waiting = bench.queue.track(vec![forget(1, 1); 3], Some(PATIENCE)).await.unwrap();
    assert_eq!(bench.queue.track(vec![forget(2, 1)], Some(PATIENCE)).await.unwrap_err(), Refused::Full);
    drop(hold);
    assert_eq!(waiting.await.unwrap().len(), 3);
    busy.await.unwrap().unwrap();
    let longer_than_the_queue = vec![forget(3, 1); 50];
    let answer = bench.queue.track(longer_than_the_queue, Some(PATIENCE)).await.unwrap().await.unwrap();
    assert_eq!(answer.len(), 50);
}

#[tokio::test]
async fn the_thread_ends_when_nobody_can_ask_any_more() {
    let Bench { queue, thread, frames } = bench(10, usize::MAX);
    let last = queue.track(vec![forget(1, 1_000)], Some(PATIENCE)).await.unwrap();
    drop(queue);
    assert_eq!(last.await.unwrap().len(), 1, "what was queued is answered");
    tokio::task::spawn_blocking(|| thread.join().unwrap().unwrap()).await.unwrap();
    assert_eq!(frames.lock().unwrap().len(), 1);
}

/// Starts on what a directory holds.
fn stored(path: &std::path::Path) -> (Directory, Queue, JoinHandle<Result<(), ApplierError>>) {
    let directory = Directory::open_or_make_with(path, || [3; 32]).unwrap();
    let ground = Ground::stored(&directory, Options::default(), Box::new(|_, _| {}), Arc::new(|_| {})).unwrap();
    let (queue, thread) = run_on(ground, 100_000);
    (directory, queue, thread)
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let mut before = None;
    for round in 0..3_u64 {
        let (directory, queue, thread) = stored(data.path());
        let state = queue.ask(PATIENCE, |engine, seq| (seq, engine.now(), engine.digest())).await.unwrap();
        assert_eq!(state, before.unwrap_or(state));
        // Many senders at once: their events share frames and syncs.
        let answers = (0..200_u64).map(|user| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let events = vec![forget(user, 1_000 * (round + 1)); 1 + user as usize % 5];
                let count = events.len();
                let answer = queue.track(events, None).await.unwrap().await.unwrap();
                assert_eq!(answer.len(), count);
            })
        });
        for answer in answers.collect::<Vec<_>>() {
            answer.await.unwrap();
        }
        let state = queue.ask(PATIENCE, |engine, seq| (seq, engine.now(), engine.digest())).await.unwrap();
        assert_eq!(state.1, Timestamp(1_000 * (round + 1)));
        assert!(before.is_none_or(|(seq, ..)| seq < state.0));
        before = Some(state);
        drop(queue);
        tokio::task::spawn_blocking(|| thread.join().unwrap().unwrap()).await.unwrap();
        drop(directory);
    }
}

#[tokio::test]
async fn more_than_the_journal_holds_at_once_is_taken_in_turns() {
    let journal = Watched::new(usize::MAX);
    let (most_unread, frames) = (Arc::clone(&journal.most_unread), Arc::clone(&journal.frames));
    let (queue, thread) = run_on(Ground { journal: Box::new(journal), ..Ground::in_memory() }, 100_000);
    let answer = queue.track(vec![large(); 30_000], None).await.unwrap().await.unwrap();
    assert_eq!(answer.len(), 30_000);
    let sizes: Vec<usize> = frames.lock().unwrap().iter().map(Vec::len).collect();
    assert!(sizes.iter().sum::<usize>() > 3 * UNREAD_BYTES_MAX, "too little to tell");
    let most_unread = most_unread.load(Ordering::Relaxed);
    let most = UNREAD_BYTES_MAX + sizes.iter().max().unwrap();
    assert!(most_unread > UNREAD_BYTES_MAX && most_unread <= most, "{most_unread} of at most {most} bytes");
    drop(queue);
    tokio::task::spawn_blocking(|| thread.join().unwrap().unwrap()).await.unwrap();
}

/// Names in a directory.
fn names(path: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn no_snapshot_is_there_before_the_journal_holds_what_it_covers() {
    let data = tempfile::tempdir().unwrap();
    let mut journal = Watched::new(usize::MAX);
    let (end, ended) = std::sync::mpsc::channel();
    journal.ended = Some(ended);
    let plan = crate::storage::SnapshotPlan {
        shelf: crate::snapshot::Shelf::new(data.path()),
        fingerprint: [0; 8],
        interval: Duration::ZERO,
        kept: 1,
        tell: Arc::new(|what: &str| panic!("{what}")),
    };
    let ground = Ground { journal: Box::new(journal), snapshots: Some(plan), ..Ground::in_memory() };
    let (queue, thread) = run_on(ground, 10);
    queue.track(vec![forget(1, 1_000)], None).await.unwrap().await.unwrap();
    let until = |end: &'static str| {
        let path = data.path().to_owned();
        async move {
            while !names(&path).iter().any(|name| name.ends_with(end)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    until(".tmp").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(names(data.path()).iter().all(|name| name.ends_with(".tmp")), "{:?}", names(data.path()));
    end.send(()).unwrap();
    until(".inkling").await;
    drop(queue);
    tokio::task::spawn_blocking(|| thread.join().unwrap().unwrap()).await.unwrap();
}

/// A plan of snapshots whose directory is not there fails with each of them, and with nothing else.
#[tokio::test]
async fn a_snapshot_that_fails_is_told_and_counted_and_changes_nothing_else() {
    let (tell, told) = std::sync::mpsc::channel::<String>();
    let plan = crate::storage::SnapshotPlan {
        shelf: crate::snapshot::Shelf::new(std::path::Path::new("/nowhere/at/all")),
        fingerprint: [0; 8],
        interval: Duration::ZERO,
        kept: 1,
        tell: Arc::new(move |what: &str| tell.send(what.to_owned()).unwrap_or_default()),
    };
    let ground = Ground { snapshots: Some(plan), ..Ground::in_memory() };
    let (clock, counters) = (Arc::new(ServiceClock::new(Clock::Events)), Arc::new(Counters::default()));
    let (queue, thread) = start(ground, clock, Arc::clone(&counters), 10).unwrap();
    let count = |name: &str| counters.lines().iter().find(|line| line.name == name).map(|line| line.value);
    // A frame is followed by one snapshot of it, so by one failure.
    for failures in 1..=2 {
        let answer = queue.track(vec![forget(1, 1_000 * failures)], None).await.unwrap().await.unwrap();
        assert_eq!(answer, [Applied::Done]);
        let what = told.recv_timeout(Duration::from_secs(30)).unwrap();
        for words in ["no snapshot was taken: ", "/nowhere/at/all/snapshot-", "No such file", "the service goes on"] {
            assert!(what.contains(words), "{what}");
        }
        assert_eq!(count("inkling_snapshots_failed_total"), Some(failures));
    }
    drop(queue);
    tokio::task::spawn_blocking(|| thread.join().unwrap().unwrap()).await.unwrap();
    assert_eq!(told.try_iter().count(), 1, "each is told once, that of the stop as well");
    assert_eq!(count("inkling_snapshots_failed_total"), Some(3));
    assert_eq!(count("inkling_snapshots_written_total"), Some(0));
}

/// What is told of a journal that was stamped so far ahead of the machine's clock.
fn told_of_journal(ahead: Span, clock: Clock) -> Vec<String> {
    let clock = Arc::new(ServiceClock::new(clock));
    let mut ground = Ground::in_memory();
    let at = Timestamp(ServiceClock::new(Clock::Wall).now().0 + ahead.0);
    ground.engine.apply(&Record { at, occurred_at: at, event_id: None, event: Event::Tick });
    let (tell, told) = std::sync::mpsc::channel::<String>();
    ground.tell = Arc::new(move |what: &str| tell.send(what.to_owned()).unwrap_or_default());
    let (queue, thread) = start(ground, clock, Arc::default(), 10).unwrap();
    drop(queue);
    thread.join().unwrap().unwrap();
    told.try_iter().collect()
}

#[test]
fn a_journal_from_the_future_is_told_once_where_the_machines_clock_counts() {
    let told = told_of_journal(Span::hours(2), Clock::Wall);
    assert!(told.len() == 1 && told[0].contains("is 2.0 hours ahead of this machine's"), "{told:?}");
    for (ahead, clock) in [(Span::seconds(30), Clock::Wall), (Span::ZERO, Clock::Wall), (Span::hours(2), Clock::Events)]
    {
        assert_eq!(told_of_journal(ahead, clock), Vec::<String>::new(), "{ahead} {clock:?}");
    }
}
