//! The service that a command talks to: where it is, how long to wait for it, and what its errors mean.

use std::error::Error;
use std::io;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

use crate::units::Span;

/// Which service, and how patient to be with it.
#[derive(Debug, Clone, Args)]
pub struct Remote {
    /// Where the service listens for gRPC
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7610", value_parser = address)]
    address: String,
    /// Give up when the connection or an answer takes longer
    #[arg(long, value_name = "SPAN", default_value = "20s", value_parser = patience)]
    timeout: Span,
}

fn address(text: &str) -> Result<String, String> {
    let wrong = || "is not a host and a port, such as 127.0.0.1:7610".to_owned();
    let uri: Uri = format!("http://{text}").parse().map_err(|_| wrong())?;
    if uri.port().is_none() || uri.path() != "/" { Err(wrong()) } else { Ok(text.to_owned()) }
}

fn patience(text: &str) -> Result<Span, String> {
    let span = Span::parse(text).map_err(|error| error.to_string())?;
    let allowed = Span(1)..=Span::hours(1);
    if allowed.contains(&span) { Ok(span) } else { Err(format!("{span}: must be from 1ms to 1h")) }
}

impl Remote {
    /// Another service, with the same patience.
    pub fn at(&self, address: &str) -> Remote {
        Remote { address: address.to_owned(), timeout: self.timeout }
    }

    /// Does work that talks to the service.
    ///
    /// # Errors
    /// Those of the work.
    pub fn talk<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
    }

    /// Connects.
    ///
    /// # Errors
    /// When nobody answers, with what to do about it.
    pub async fn connect(&self) -> anyhow::Result<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?
            .tcp_nodelay(true)
            .connect_timeout(self.timeout())
            // A peer that has vanished without a word is noticed even while nothing is asked of it.
            .http2_keep_alive_interval(self.timeout())
            .keep_alive_timeout(self.timeout())
            .keep_alive_while_idle(true);
        match tokio::time::timeout(self.timeout(), endpoint.connect()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => bail!("{}", self.nobody(root(&error))),
            Err(_) => bail!("{}", self.nobody(&io::Error::from(io::ErrorKind::TimedOut))),
        }
    }

    /// The answer to a call, if it comes in time.
    ///
    /// # Errors
    /// The call's status in words, or that there was no answer.
    pub async fn answer<T>(&self, call: impl Future<Output = Result<T, Status>>) -> anyhow::Result<T> {
        match tokio::time::timeout(self.timeout(), call).await {
            Ok(answer) => answer.map_err(|status| self.told(&status)),
            Err(_) => bail!("the service at {} gave no answer within {}", self.address, self.timeout),
        }
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout.0)
    }

    fn nobody(&self, cause: &(dyn Error + 'static)) -> String {
        let refused = cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
        let cause = if refused { String::new() } else { format!(" ({cause})") };
        format!(
            "no service answers at {}{cause}: start one with `inkling serve --config FILE`, or name another with \
             --address",
            self.address
        )
    }

    /// A status as a person is told it.
    pub fn told(&self, status: &Status) -> anyhow::Error {
        // Statuses that come from the connection, not from the service, carry its error.
        match status.source() {
            Some(cause) => anyhow!("the connection to {} broke: {}", self.address, root(cause)),
            None => anyhow!("{}: {}", code_name(status.code()), status.message()),
        }
    }
}

/// The first cause of an error.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root
}

/// A status code as gRPC's documents spell it: NOT_FOUND.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelled_as_everywhere() {
        let cases = [(Code::NotFound, "NOT_FOUND"), (Code::Unavailable, "UNAVAILABLE"), (Code::Ok, "OK")];
        for (code, name) in cases {
            assert_eq!(code_name(code), name);
        }
    }

    #[test]
    fn patience_has_bounds() {
        assert_eq!(patience("1500ms"), Ok(Span(1_500)));
        for wrong in ["0s", "2h", "soon"] {
            assert!(patience(wrong).is_err(), "{wrong}");
        }
    }
}
