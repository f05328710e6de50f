//! The API's messages as canonical proto3 JSON: the text that grpcurl takes with `-d` and prints.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Deserializer;
use thiserror::Error;

use crate::pb::{self, v1};

/// Descriptions of all messages of the API.
static API: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(pb::DESCRIPTORS).expect("the build wrote descriptors that can be read"));

/// Least likeness, from 0 to 1, at which a name is taken for a misspelled one.
const LIKENESS_MIN: f64 = 0.75;

/// A message that is written as JSON.
pub trait Named: Message + Default {
    /// Its name in the proto files.
    const NAME: &'static str;

    /// Its description.
    fn described() -> MessageDescriptor {
        API.get_message_by_name(Self::NAME).expect("a test asks for each name")
    }
}

impl Named for v1::ScoreRequest {
    const NAME: &'static str = "inkling.v1.ScoreRequest";
}
impl Named for v1::ScoreResponse {
    const NAME: &'static str = "inkling.v1.ScoreResponse";
}
impl Named for v1::Event {
    const NAME: &'static str = "inkling.v1.Event";
}
impl Named for v1::TrackRequest {
    const NAME: &'static str = "inkling.v1.TrackRequest";
}
impl Named for v1::GetSegmentsResponse {
    const NAME: &'static str = "inkling.v1.GetSegmentsResponse";
}

/// A text that is not the message it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}")]
pub struct JsonError {
    /// Line within the text, from 1.
    pub line: u64,
    /// Column, in bytes, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads a message. Field names may be spelled as in JSON (`opportunityId`) or as in the protos (`opportunity_id`).
///
/// # Errors
/// When the text is no JSON, names a field that the message does not have, or gives a value of another type.
pub fn read<T: Named>(text: &str) -> Result<T, JsonError> {
    let mut json = Deserializer::from_str(text);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(T::described(), &mut json, &options);
    let message = message.and_then(|message| json.end().map(|()| message)).map_err(|error| mistake::<T>(&error))?;
    let broken = |error: prost::DecodeError| JsonError { line: 1, column: 1, what: error.to_string() };
    message.transcode_to().map_err(broken)
}

/// Writes a message on one line: names as in JSON, 64-bit integers as text, what is zero or empty left out.
pub fn write<T: Named>(message: &T) -> String {
    let mut dynamic = DynamicMessage::new(T::described());
    dynamic.transcode_from(message).expect("a message is of its own type");
    let mut json = serde_json::Serializer::new(Vec::new());
    dynamic.serialize_with_options(&mut json, &SerializeOptions::new()).expect("memory takes all that is written");
    String::from_utf8(json.into_inner()).expect("JSON is text")
}

fn mistake<T: Named>(error: &serde_json::Error) -> JsonError {
    let told = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = told.strip_suffix(&place).unwrap_or(&told);
    // Serde's words for an object and an array are those of Rust.
    let mut what = what.replace("expected a map", "expected an object").replace("type: map", "type: object");
    what = what.replace("type: sequence", "type: array");
    if let Some(name) = what.strip_prefix("unrecognized field name '").and_then(|rest| rest.strip_suffix('\'')) {
        let meant = nearest(&T::described(), name).map(|meant| format!(": did you mean '{meant}'?"));
        what = format!("there is no field '{name}'{}", meant.unwrap_or_default());
    }
    JsonError { line: error.line().max(1) as u64, column: error.column().max(1), what }
}

/// The field name most like this one, of a message and of all those within it.
fn nearest(message: &MessageDescriptor, name: &str) -> Option<String> {
    let mut messages = vec![message.clone()];
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(message) = messages.get(at).cloned() {
        at += 1;
        for field in message.fields() {
            // Answered in the spelling of the question.
            let spelling = if name.contains('_') { field.name() } else { field.json_name() };
            names.push(spelling.to_owned());
            messages.extend(field.kind().as_message().filter(|inner| !messages.contains(inner)).cloned());
        }
    }
    let likeness = |other: &String| strsim::jaro_winkler(name, other);
    let best = names.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)).then_with(|| b.cmp(a)))?;
    (likeness(&best) >= LIKENESS_MIN).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read_and_one_is_written() {
        let spellings = [
            r#"{"opportunityId": "o1", "tmaxMs": 20, "targets": [{"baseP": 0.5}], "privacy": "PRIVACY_MODE_CONTEXT"}"#,
            r#"{"opportunity_id": "o1", "tmax_ms": "20", "targets": [{"base_p": 0.5}], "privacy": 2, "atMs": null}"#,
        ];
        for text in spellings {
            let request: v1::ScoreRequest = read(text).expect("a good request");
            assert_eq!((request.opportunity_id.as_str(), request.tmax_ms, request.privacy), ("o1", 20, 2));
            assert_eq!(request.targets[0].base_p, Some(0.5));
            let written =
                r#"{"opportunityId":"o1","privacy":"PRIVACY_MODE_CONTEXT","targets":[{"baseP":0.5}],"tmaxMs":20}"#;
            assert_eq!(write(&request), written);
        }
    }

    #[test]
    fn all_messages_are_known_and_survive_the_way_there_and_back() {
        fn there_and_back<T: Named + PartialEq>(text: &str) {
            let message: T = read(text).expect(T::NAME);
            assert_eq!(write(&message), text);
        }
        there_and_back::<v1::ScoreRequest>(r#"{"users":["ü\n"],"atMs":"18446744073709551615"}"#);
        there_and_back::<v1::ScoreResponse>(r#"{"results":[{"signals":[{"logit":-0.1}]}],"modelVersion":"4"}"#);
        there_and_back::<v1::Event>(r#"{"eventId":"e","click":{"token":"t"}}"#);
        there_and_back::<v1::TrackRequest>(r#"{"events":[{"link":{"user":"a","other":"b"}}]}"#);
        there_and_back::<v1::GetSegmentsResponse>(r#"{"segments":[{"costMicros":"-1"}],"currency":"USD"}"#);
    }

    #[test]
    fn mistakes_name_their_place() {
        let cases = [
            ("", 1, "EOF while parsing a value"),
            ("{\n \"users\": [\"a\",]}", 2, "trailing comma"),
            ("{} {}", 1, "trailing characters"),
            ("[]", 1, "invalid type: array, expected an object"),
            ("{\"users\": \"u\"}", 1, "invalid type: string \"u\", expected a list"),
            ("{\"tmax_ms\": -1}", 1, "out of range integral type conversion attempted"),
            ("{\"user\": \"u\"}", 1, "there is no field 'user': did you mean 'users'?"),
            ("{\"oportunity_id\": \"o\"}", 1, "there is no field 'oportunity_id': did you mean 'opportunity_id'?"),
            ("{\"targets\": [{\"linItem\": \"l\"}]}", 1, "there is no field 'linItem': did you mean 'lineItem'?"),
            ("{\"zzz\": 1}", 1, "there is no field 'zzz'"),
            ("{\"privacy\": \"FULL\"}", 1, "unrecognized enum value 'FULL'"),
        ];
        for (text, line, what) in cases {
            let error = read::<v1::ScoreRequest>(text).expect_err(text);
            assert_eq!((error.line, error.what.as_str()), (line, what), "{text}");
        }
        let two = read::<v1::Event>(r#"{"click": {"token": "t"}, "link": {"user": "a", "other": "b"}}"#);
        assert_eq!(two.expect_err("two bodies").what, "multiple fields provided for oneof 'body'");
    }
}
