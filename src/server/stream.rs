//! The reading end of a bidirectional stream, which ends when the service is told to stop.

use std::pin::Pin;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::convert::CallError;

/// Answers of one stream, one for each message and, where it does not end well, the reason.
pub type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What comes next on a stream.
pub enum Next<T> {
    /// A message.
    Message(T),
    /// The client has sent all it wanted to.
    End,
    /// The stream is broken, or the service stops: nothing more is read.
    Failed(Status),
}

/// Waits for the next message, or for `stopped`.
pub async fn next<T>(messages: &mut Streaming<T>, stopped: Pin<&mut impl Future<Output = ()>>) -> Next<T> {
    tokio::select! {
        // First, since a client that never pauses would otherwise never be told.
        biased;
        () = stopped => Next::Failed(CallError::Draining.into()),
        message = messages.message() => match message {
            Ok(Some(message)) => Next::Message(message),
            Ok(None) => Next::End,
            Err(status) => Next::Failed(status),
        },
    }
}

/// The answers that a task sends, as tonic wants them.
pub fn answers<T: Send + 'static>(receiver: mpsc::Receiver<Result<T, Status>>) -> Answers<T> {
    Box::pin(ReceiverStream::new(receiver))
}
