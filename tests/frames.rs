//! Records through the journal: what goes in comes out, and the largest frame of one is taken by the other.

use inkling::event::{Event, Record};
use inkling::ids::{Seq, UserKey};
use inkling::journal::{self, Journal, MemoryJournal};
use inkling::record::{CONFIGURED_BYTES_MAX, FrameBuilder, decode_frame};
use inkling::units::Timestamp;

const _: () = assert!(CONFIGURED_BYTES_MAX <= journal::FRAME_BYTES_MAX, "every frame of records must be taken");

fn forget(at: u64) -> Record {
    Record { at: Timestamp(at), occurred_at: Timestamp(at), event_id: None, event: Event::Forget(UserKey(at)) }
}

#[test]
fn records_come_back_in_order() {
    let mut journal = MemoryJournal::new();
    let mut builder = FrameBuilder::new();
    let sent: Vec<Record> = (0..10_000).map(forget).collect();
    for record in &sent {
        if !builder.push(record).unwrap() {
            journal.append(builder.take()).unwrap();
            assert!(builder.push(record).unwrap());
        }
    }
    journal.append(builder.take()).unwrap();

    let mut read = Vec::new();
    let mut last = Seq(0);
    while let Some((seq, frame)) = journal.next().unwrap() {
        assert_eq!(seq, last.next());
        last = seq;
        read.extend(decode_frame(&frame).unwrap());
    }
    assert_eq!(read, sent);
    assert!(last > Seq(2), "{last:?}");
}
