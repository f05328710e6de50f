//! Questions and answers over one gRPC stream: answers come in the order of the questions.

use std::collections::VecDeque;

use anyhow::{anyhow, bail};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

use super::remote::Remote;

/// Questions of a command that wait for their answers.
pub const AHEAD: usize = 32;

/// A stream in both directions, with a note on each question that waits for its answer.
pub struct Exchange<'a, Question, Answer, Note> {
    remote: &'a Remote,
    /// Has room for all that may wait, so that asking never waits itself. `None`: no more is asked.
    questions: Option<mpsc::Sender<Question>>,
    answers: Streaming<Answer>,
    waiting: VecDeque<Note>,
    ahead: usize,
}

impl<'a, Question, Answer, Note> Exchange<'a, Question, Answer, Note> {
    /// Opens the stream; so many questions may wait for their answers.
    ///
    /// # Errors
    /// When the service refuses it, or does not answer in time.
    pub async fn open<Call>(
        remote: &'a Remote,
        ahead: usize,
        call: impl FnOnce(ReceiverStream<Question>) -> Call,
    ) -> anyhow::Result<Self>
    where
        Call: Future<Output = Result<Response<Streaming<Answer>>, Status>>,
    {
        let (questions, asked) = mpsc::channel(ahead);
        let answers = remote.answer(call(ReceiverStream::new(asked))).await?.into_inner();
        Ok(Exchange { remote, questions: Some(questions), answers, waiting: VecDeque::new(), ahead })
    }

    /// Whether a question may be asked now.
    pub fn has_room(&self) -> bool {
        self.questions.is_some() && self.waiting.len() < self.ahead
    }

    /// Whether an answer is due.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The notes on questions without an answer yet.
    pub fn waiting(&self) -> impl Iterator<Item = &Note> {
        self.waiting.iter()
    }

    /// Whether all was asked and answered.
    pub fn is_done(&self) -> bool {
        self.questions.is_none() && self.waiting.is_empty()
    }

    /// Asks. Only while there is room.
    pub fn ask(&mut self, question: Question, note: Note) {
        if let Some(questions) = &self.questions {
            // If the stream has broken, waiting for the answer says so and why.
            let _ = questions.try_send(question);
            self.waiting.push_back(note);
        }
    }

    /// Says that no more will be asked.
    pub fn finish(&mut self) {
        self.questions = None;
    }

    /// The next answer with the note on its question. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the service fails, is silent, or ends the stream before it has answered everything.
    pub async fn answer(&mut self) -> anyhow::Result<(Note, Answer)> {
        let answer = self.remote.answer(self.answers.message()).await?;
        match (answer, self.waiting.pop_front()) {
            (Some(answer), Some(note)) => Ok((note, answer)),
            (None, Some(note)) => {
                self.waiting.push_front(note);
                bail!("the service ended the stream")
            }
            (_, None) => Err(anyhow!("the service answered what it was not asked")),
        }
    }
}
