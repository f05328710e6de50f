//! What is written can be read, whatever is read cannot harm, and the format cannot change by accident.

use proptest::collection::vec;
use proptest::prelude::*;

use super::samples::{one_of_each, record, small_settings};
use super::*;
use crate::action::ActionKind;
use crate::event::{Impression, Shown};
use crate::ids::Id;
use crate::settings::{Advertiser, ExternalSegment, RULE_DEPTH_MAX, Rule, Settings};
use crate::units::{Micros, Span, Timestamp};

proptest! {
    #[test]
    fn what_is_written_is_read(records in vec(arbitrary::record(), 0..6)) {
        let frame = encode_frame(&records).unwrap();
        let read = decode_frame(&frame).unwrap();
        prop_assert_eq!(&read, &records);
        prop_assert_eq!(encode_frame(&read).unwrap(), frame, "the same bits, signs of zeros included");
    }

    #[test]
    fn damaged_frames_never_panic(
        records in vec(arbitrary::record(), 1..4),
        flips in vec((any::<prop::sample::Index>(), 0u32..8), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut frame = encode_frame(&records).unwrap();
        prop_assert!(decode_frame(&frame[..cut.index(frame.len())]).is_err(), "a cut frame is never whole");
        for (index, bit) in flips {
            let index = index.index(frame.len());
            frame[index] ^= 1 << bit;
        }
        // A flipped bit may give another valid record; then it can be written again.
        if let Ok(read) = decode_frame(&frame) {
            prop_assert_eq!(decode_frame(&encode_frame(&read).unwrap()).unwrap(), read);
        }
    }

    #[test]
    fn random_bytes_never_panic(count in 0u16..5, bytes in vec(any::<u8>(), 0..300)) {
        let [low, high] = count.to_le_bytes();
        let _ = decode_frame(&bytes);
        let _ = decode_frame(&[&[FRAME_FORMAT, low, high], &bytes[..]].concat());
    }
}

/// Frames on disk look like this. When this fails, journals of earlier versions may no longer be read as they were
/// written: add fields instead of changing them, or raise [`FRAME_FORMAT`] and keep a reader for the old one.
#[test]
fn the_format_does_not_change() {
    let golden = include_str!("golden_frame.hex");
    let frame = encode_frame(&one_of_each()).unwrap();
    let hex: String = frame.chunks(40).map(|line| line.iter().map(hex_byte).collect::<String>() + "\n").collect();
    assert_eq!(hex, golden, "the frame is now:\n{hex}");
    assert_eq!(decode_frame(&frame).unwrap(), one_of_each());
}

fn hex_byte(byte: &u8) -> String {
    format!("{byte:02x}")
}

#[test]
fn frames_fill_up_and_lose_nothing() {
    let mut builder = FrameBuilder::new();
    let mut frames = Vec::new();
    let actions = |n: u64| {
        let mut records = one_of_each();
        records.retain(|record| !matches!(record.event, Event::Configured(_)));
        records[0].at = Timestamp(n);
        records
    };
    let sent: Vec<Record> = (0..400).flat_map(actions).collect();
    for record in &sent {
        if !builder.push(record).unwrap() {
            frames.push(builder.take());
            assert!(builder.is_empty());
            assert!(builder.push(record).unwrap(), "an empty frame takes every record");
        }
    }
    frames.push(builder.take());
    assert!(frames.len() > 3, "{}", frames.len());
    let (last, full) = frames.split_last().unwrap();
    assert!(last.len() <= GATHERED_BYTES_MAX);
    for frame in full {
        assert!((GATHERED_BYTES_MAX - 300..=GATHERED_BYTES_MAX).contains(&frame.len()), "{}", frame.len());
    }
    let read: Vec<Record> = frames.iter().flat_map(|frame| decode_frame(frame).unwrap()).collect();
    assert_eq!(read, sent);
}

#[test]
fn small_records_are_counted() {
    let ticks = vec![Record { at: Timestamp(0), occurred_at: Timestamp(0), ..record(Event::Tick) }; 4_097];
    assert_eq!(decode_frame(&encode_frame(&ticks[..4_096]).unwrap()).unwrap().len(), 4_096);
    assert_eq!(
        encode_frame(&ticks).unwrap_err().to_string(),
        "record 4096 does not fit into the frame of at most 61440 bytes and 4096 records"
    );
}

fn settings_of_advertisers(count: usize, externals: usize) -> Record {
    let mut settings = Settings::default();
    for number in 0..count {
        let mut advertiser = Advertiser::new(Id::new(format!("advertiser {number}")).unwrap());
        advertiser.externals = (0..externals)
            .map(|external| ExternalSegment { id: Id::new(format!("provider/{external:0>100}")).unwrap(), weight: 1.0 })
            .collect();
        settings.advertisers.push(advertiser);
    }
    record(Event::Configured(Box::new(settings)))
}

#[test]
fn large_settings_get_a_frame_of_their_own() {
    let large = settings_of_advertisers(100, 0);
    let mut builder = FrameBuilder::new();
    assert!(builder.push(&record(Event::Tick)).unwrap());
    assert!(!builder.push(&large).unwrap(), "not behind another record");
    builder.take();
    assert!(builder.push(&large).unwrap());
    assert!(!builder.push(&record(Event::Tick)).unwrap(), "nothing behind it");
    let frame = builder.take();
    assert!(frame.len() > GATHERED_BYTES_MAX, "{}", frame.len());
    assert_eq!(decode_frame(&frame).unwrap(), [large]);

    let huge = settings_of_advertisers(150, 1_000);
    let error = builder.push(&huge).unwrap_err().to_string();
    assert!(error.starts_with("record 0: it makes a frame of 1") && error.ends_with("at most 16777216 are allowed"));
    assert!(builder.is_empty());
}

/// Every way a record can break a limit is refused alike when it is written and when it is read.
#[test]
fn limits_hold_in_both_directions() {
    type Spoil = fn(&mut Settings);
    let cases: &[(Spoil, &str)] = &[
        (|s| s.learner.alpha = f64::NAN, "alpha is NaN, allowed is 0.0001 to 10"),
        (|s| s.learner.alpha = 0.00005, "alpha is 0.00005, allowed is 0.0001 to 10"),
        (|s| s.learner.beta = 0.0, "beta is 0, allowed is 0.0001 to 1000"),
        (|s| s.learner.l1 = -1.0, "l1 is -1, allowed is 0 to 1000"),
        (|s| s.learner.l2 = f64::INFINITY, "l2 is inf, allowed is 0 to 1000"),
        (|s| s.learner.table_bits = 23, "table_bits is 23, allowed is 10 to 22"),
        (|s| s.arms.control_share = 1.5, "control_share is 1.5, allowed is 0 to 1"),
        (|s| s.arms.holdout_share = 0.96, "holdout_share is 0.96, allowed is 0 to what the control share leaves of 1"),
        (
            |s| s.advertisers[0].holdout_share = Some(0.96),
            "advertiser 'acme': holdout_share is 0.96, allowed is 0 to what the control share leaves of 1",
        ),
        (|s| s.advertisers = vec![s.advertisers[0].clone(); 4_097], "advertisers: at most 4096 entries, 4097 found"),
    ];
    for (spoil, expected) in cases {
        let mut settings = small_settings();
        spoil(&mut settings);
        refused_both_ways(&record(Event::Configured(Box::new(settings))), expected);
    }
    let late = Record { at: Timestamp(u64::MAX), ..record(Event::Tick) };
    refused_both_ways(&late, "at is 18446744073709552000, allowed is milliseconds since 1970 up to the year 2106");
    let mut records = one_of_each();
    if let Event::Impression(Impression { of: Shown::Scored(exposure), .. }) = &mut records[1].event {
        exposure.goals[0].p = f32::NAN;
    }
    refused_both_ways(&records[1], "p is NaN, allowed is 0 to 1");
    if let Event::Impression(Impression { of: Shown::Named(unscored), .. }) = &mut records[2].event {
        unscored.goals = vec![Id::literal("purchase"); 33];
    }
    refused_both_ways(&records[2], "goals: at most 32 entries, 33 found");
}

#[test]
fn limits_of_an_advertiser_hold_in_both_directions() {
    type Spoil = fn(&mut Advertiser);
    let cases: &[(Spoil, &str)] = &[
        (|a| a.actions[0].half_life = Span(1), "action 'view_item': half_life in ms is 1, allowed is a minute or more"),
        (|a| a.actions[0].kind = NO_POSITION, "action 'view_item': position is 0, allowed is 1 to 255"),
        (|a| a.actions = vec![a.actions[0].clone(); 256], "actions: at most 255 entries, 256 found"),
        (|a| a.goals[0].prior_rate = 1.0, "goal 'purchase': prior_rate is 1, allowed is 0 to 1 exclusive"),
        (|a| a.goals[0].value = Micros(-1), "goal 'purchase': value is -1, allowed is 0 to 10^13 micros"),
        (
            |a| a.goals[0].milestones = vec![Id::literal("a"); 33],
            "goal 'purchase': milestones: at most 32 entries, 33 found",
        ),
        (
            |a| a.goals[0].suppress_after_conversion = Some(Span::days(366)),
            "goal 'purchase': suppress_after_conversion in ms is 31622400000, allowed is at most a year",
        ),
        (|a| a.goals[0].multiplier.min = 0.0, "goal 'purchase': min is 0, allowed is 0.01 to 10"),
        (|a| a.goals[0].multiplier.max = 0.1, "goal 'purchase': max is 0.1, allowed is min to 10"),
        (|a| a.goals[0].multiplier.exploration = 0.03, "goal 'purchase': exploration is 0.03, allowed is 0 to 0.02"),
        (|a| a.campaigns[0].objective[0].1 = -1.0, "campaign 'spring': weight is -1, allowed is {FACTOR}"),
        (|a| a.segments[0].weight = f64::NAN, "segment 'warm': weight is NaN, allowed is {FACTOR}"),
        (|a| a.segments[0].rule = nested(33), "segment 'warm': nested rules: at most 32 entries, 33 found"),
        (
            |a| a.segments[0].rule = wide(1_024),
            "segment 'warm': rules of the segment: at most 1024 entries, 1025 found",
        ),
        (|a| a.segments[0].rule = often(9), "segment 'warm': at_least is 9, allowed is 1 to 8"),
        (|a| a.segments = vec![a.segments[0].clone(); 65], "segments: at most 64 entries, 65 found"),
        (|a| a.externals[0].weight = -0.5, "segment 'p/1': weight is -0.5, allowed is {FACTOR}"),
        (|a| a.externals = vec![a.externals[0].clone(); 1_001], "externals: at most 1000 entries, 1001 found"),
    ];
    for (spoil, expected) in cases {
        let mut settings = small_settings();
        spoil(&mut settings.advertisers[0]);
        let expected = expected.replace("{FACTOR}", "a finite number of at least 0");
        refused_both_ways(&record(Event::Configured(Box::new(settings))), &format!("advertiser 'acme': {expected}"));
    }
}

const NO_POSITION: ActionKind = ActionKind::Milestone { position: 0 };

fn wide(parts: usize) -> Rule {
    Rule::All(vec![Rule::Sessions(1); parts])
}

fn often(at_least: u8) -> Rule {
    Rule::Count { action: Id::literal("a"), window: Span(1), at_least }
}

fn nested(depth: usize) -> Rule {
    (1..depth).fold(Rule::Sessions(1), |rule, _| Rule::Not(Box::new(rule)))
}

#[test]
fn rules_nest_as_deep_as_they_may() {
    let mut settings = small_settings();
    let deep = |wrap: fn(Rule) -> Rule| (1..RULE_DEPTH_MAX).fold(Rule::Sessions(1), |rule, _| wrap(rule));
    let rules = [deep(|rule| Rule::All(vec![rule])), deep(|rule| Rule::Not(Box::new(rule)))];
    for rule in rules {
        settings.advertisers[0].segments[0].rule = rule;
        let records = [record(Event::Configured(Box::new(settings.clone())))];
        assert_eq!(decode_frame(&encode_frame(&records).unwrap()).unwrap(), records);
    }
}

fn refused_both_ways(spoilt: &Record, expected: &str) {
    let expected = format!("record 0: {expected}");
    assert_eq!(encode_frame(std::slice::from_ref(spoilt)).unwrap_err().to_string(), expected);
    assert_eq!(decode_frame(&frame_of(&event::write(spoilt))).unwrap_err().to_string(), expected);
}

/// A frame of one record, checked by nobody.
fn frame_of(record: &pb::Record) -> Vec<u8> {
    [&[FRAME_FORMAT, 1, 0], &record.encode_length_delimited_to_vec()[..]].concat()
}

/// What types cannot hold is refused when it is read.
#[test]
fn wrong_fields_are_named() {
    type Spoil = fn(&mut pb::Record);
    let cases: &[(usize, Spoil, &str)] = &[
        (0, |r| r.event = None, "event is missing or of an unknown kind"),
        (0, |r| r.event_id = Some(String::new()), "event_id: an identifier must not be empty"),
        (0, |r| action(r).action = String::new(), "action: an identifier must not be empty"),
        (0, |r| action(r).item = text("\n"), "item: an identifier must not hold the control character at byte 0"),
        (0, |r| action(r).value = euros(1, "eur"), "value: 'eur' is no currency: three capital letters are needed"),
        (0, |r| action(r).value = euros(-1, "EUR"), "value is -1, allowed is 0 to 10^13 micros"),
        (3, |r| ghost(r).arm = 3, "arm is 3, allowed is 0 (treated), 1 (control) or 2 (holdout)"),
        (3, |r| ghost(r).schema = 256, "schema is 256, allowed is what its type holds"),
        (3, |r| ghost(r).features = vec![0; 65], "features: at most 64 entries, 65 found"),
        (3, |r| ghost(r).features = vec![1 << 26], "features is 67108864, allowed is 22 bits of slot and 4 of value"),
        (3, |r| ghost(r).externals = vec![65_536], "externals is 65536, allowed is what its type holds"),
        (3, |r| ghost(r).goals[0].logit = None, "logit is missing or of an unknown kind"),
        (3, |r| ghost(r).goals[0].p = Some(f32::INFINITY), "p is inf, allowed is 0 to 1"),
        (7, |r| conversion(r).user = None, "user is missing or of an unknown kind"),
        (11, |r| configured(r).limits = None, "limits is missing or of an unknown kind"),
        (11, |r| acme(r).goals[0].credit = 7, "{acme}goal 'purchase': credit is missing or of an unknown kind"),
        (11, |r| acme(r).segments[0].rule = None, "{acme}segment 'warm': rule is missing or of an unknown kind"),
        (11, |r| acme(r).actions[0].position = Some(256), "{acme}position is 256, allowed is what its type holds"),
    ];
    for (which, spoil, expected) in cases {
        let mut written = event::write(&one_of_each()[*which]);
        spoil(&mut written);
        let error = decode_frame(&frame_of(&written)).unwrap_err();
        let expected = expected.replace("{acme}", "advertiser 'acme': ");
        assert_eq!(error.to_string(), format!("record 0: {expected}"));
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn euros(amount_micros: i64, currency: &str) -> Option<pb::Money> {
    Some(pb::Money { amount_micros, currency: text(currency) })
}

fn acme(record: &mut pb::Record) -> &mut pb::Advertiser {
    &mut configured(record).advertisers[0]
}

fn action(record: &mut pb::Record) -> &mut pb::Action {
    match &mut record.event {
        Some(pb::record::Event::Action(action)) => action,
        other => panic!("{other:?} is no action"),
    }
}

fn ghost(record: &mut pb::Record) -> &mut pb::Exposure {
    match &mut record.event {
        Some(pb::record::Event::GhostImpression(exposure)) => exposure,
        other => panic!("{other:?} is no ghost impression"),
    }
}

fn conversion(record: &mut pb::Record) -> &mut pb::Conversion {
    match &mut record.event {
        Some(pb::record::Event::Conversion(conversion)) => conversion,
        other => panic!("{other:?} is no conversion"),
    }
}

fn configured(record: &mut pb::Record) -> &mut pb::Settings {
    match &mut record.event {
        Some(pb::record::Event::Configured(settings)) => settings,
        other => panic!("{other:?} is no configuration"),
    }
}

#[test]
fn wrong_frames_say_what_is_wrong() {
    let tick = frame_of(&event::write(&record(Event::Tick)));
    let two = encode_frame(&[record(Event::Tick), record(Event::Tick)]).unwrap();
    let padded = [vec![FRAME_FORMAT, 2, 0], vec![0; GATHERED_BYTES_MAX]].concat();
    // An unknown field of 70,000 bytes: skipped, but no frame of a tick is that long.
    let mut stuffed = event::write(&record(Event::Tick)).encode_to_vec();
    stuffed.extend([0xfa, 0x01, 0xf0, 0xa2, 0x04]);
    stuffed.resize(stuffed.len() + 70_000, 0);
    let mut fat = vec![FRAME_FORMAT, 1, 0];
    prost::encode_length_delimiter(stuffed.len(), &mut fat).unwrap();
    fat.extend(stuffed);
    let cases: &[(&[u8], &str)] = &[
        (&[], "0 bytes are too few for a frame's head"),
        (&[FRAME_FORMAT, 0], "2 bytes are too few for a frame's head"),
        (&[2, 0, 0], "frame format 2 is not known, only 1: damaged, or written by a later version"),
        (&[FRAME_FORMAT, 1, 16], "the frame's head promises 4097 records, at most 4096 are allowed"),
        (&[FRAME_FORMAT, 0, 0, 9], "1 bytes follow the last of 0 records"),
        (&[tick.clone(), vec![0]].concat(), "1 bytes follow the last of 1 records"),
        (&padded, "a frame of 2 records has 61443 bytes, at most 61440 are allowed"),
        (&fat, "a frame of 1 records has 70027 bytes, at most 61440 are allowed"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(decode_frame(bytes).unwrap_err().to_string(), *expected);
    }
    let error = decode_frame(&two[..two.len() - 1]).unwrap_err().to_string();
    assert!(error.starts_with("record 1: malformed: "), "{error}");
}
