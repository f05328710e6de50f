//! What is called, and how people call its parts.

use clap::ValueEnum;

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Call {
    /// TrackStream: events, acknowledged by message
    Track,
    /// Score: a bid request a call
    Score,
    /// ScoreBatch: several bid requests a call
    ScoreBatch,
    /// ScoreStream: bid requests one by one over a stream
    ScoreStream,
}

impl Call {
    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Call::Track => "track",
            Call::Score => "score",
            Call::ScoreBatch => "score-batch",
            Call::ScoreStream => "score-stream",
        }
    }

    /// What a message is made of.
    pub fn item(self) -> &'static str {
        match self {
            Call::Track => "event",
            Call::Score | Call::ScoreBatch | Call::ScoreStream => "request",
        }
    }

    /// What is sent and answered as one.
    pub fn message(self) -> &'static str {
        match self {
            Call::Track | Call::ScoreStream => "message",
            Call::Score | Call::ScoreBatch => "call",
        }
    }

    /// Whether items are bid requests.
    pub fn scores(self) -> bool {
        self != Call::Track
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for call in Call::value_variants() {
            assert_eq!(call.to_possible_value().unwrap().get_name(), call.name());
        }
    }
}
