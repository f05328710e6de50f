//! A server that reads the same messages, does nothing with them, and answers as much: what gRPC alone costs here.
//!
//! It is a process of its own, so that its CPU time is told apart from the client's, and tells that as a service does.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use clap::Args;
use prost::Message;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::pb::v1;
use crate::pb::v1::admin_service_server::{AdminService, AdminServiceServer};
use crate::pb::v1::event_service_server::{EventService, EventServiceServer};
use crate::pb::v1::signal_service_server::{SignalService, SignalServiceServer};
use crate::stopwatch::cpu_time;

/// Serves what `inkling load --echo` compares with, on a free port of this machine, until standard input ends
#[derive(Debug, Args)]
pub struct Echo {
    /// Bytes of the answer to a bid request
    #[arg(long, value_name = "N", default_value_t = 0)]
    answer_bytes: usize,
}

impl Echo {
    /// Says where it listens, and serves on tonic's default runtime.
    ///
    /// # Errors
    /// When the system gives no port or no thread.
    pub fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Runtime::new()?;
        let _inside = runtime.enter();
        let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.with_nodelay(Some(true));
        super::super::print(&format!("{}\n", incoming.local_addr()?))?;
        let serving = Server::builder()
            .add_service(EventServiceServer::new(Nothing))
            .add_service(SignalServiceServer::new(Fixed(answer(self.answer_bytes))))
            .add_service(AdminServiceServer::new(Nothing));
        runtime.spawn(serving.serve_with_incoming(incoming));
        // Ends when whoever started it does, however that ends.
        io::copy(&mut io::stdin(), &mut io::sink())?;
        Ok(())
    }
}

/// A running echo; ended when it is dropped.
pub struct Running {
    process: Child,
    /// Where it listens.
    pub address: String,
}

impl Running {
    /// Starts one that answers so many bytes to a bid request.
    ///
    /// # Errors
    /// When this program cannot be started once more.
    pub fn start(answer_bytes: u64) -> anyhow::Result<Running> {
        let start = || {
            let mut process = Command::new(std::env::current_exe()?)
                .args(["echo", "--answer-bytes", &answer_bytes.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let said = process.stdout.take().map(|out| BufReader::new(out.take(64)).lines().next());
            // From here on it is ended whatever happens.
            let mut running = Running { process, address: String::new() };
            running.address = said.flatten().transpose()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            Ok::<_, io::Error>(running)
        };
        start().context("cannot start the server to compare with")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself cannot be ended once more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer of that size: one text, so that it is cheaper to make than any real one.
fn answer(bytes: usize) -> v1::ScoreResponse {
    let of = |length: usize| {
        let result = v1::TargetResult { token: "x".repeat(length), ..Default::default() };
        v1::ScoreResponse { results: vec![result], ..Default::default() }
    };
    // What stands around the text takes 4 to 20 bytes; of the two lengths at which a size field grows, neither is met.
    (0..=20).map(|around| of(bytes.saturating_sub(around))).find(|one| one.encoded_len() <= bytes).unwrap_or_default()
}

/// Answers bid requests with this.
struct Fixed(v1::ScoreResponse);
/// Answers events and operators.
struct Nothing;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn acknowledged(request: &v1::TrackRequest) -> v1::TrackResponse {
    v1::TrackResponse { accepted: u32::try_from(request.events.len()).unwrap_or(u32::MAX), ..Default::default() }
}

#[tonic::async_trait]
impl EventService for Nothing {
    async fn track(&self, request: Request<v1::TrackRequest>) -> Result<Response<v1::TrackResponse>, Status> {
        Ok(Response::new(acknowledged(request.get_ref())))
    }

    type TrackStreamStream = Answers<v1::TrackResponse>;

    async fn track_stream(
        &self,
        request: Request<Streaming<v1::TrackRequest>>,
    ) -> Result<Response<Self::TrackStreamStream>, Status> {
        Ok(Response::new(Box::pin(request.into_inner().map(|message| message.map(|message| acknowledged(&message))))))
    }
}

#[tonic::async_trait]
impl SignalService for Fixed {
    async fn score(&self, _: Request<v1::ScoreRequest>) -> Result<Response<v1::ScoreResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn score_batch(
        &self,
        request: Request<v1::ScoreBatchRequest>,
    ) -> Result<Response<v1::ScoreBatchResponse>, Status> {
        let responses = vec![self.0.clone(); request.get_ref().requests.len()];
        Ok(Response::new(v1::ScoreBatchResponse { responses }))
    }

    type ScoreStreamStream = Answers<v1::ScoreResponse>;

    async fn score_stream(
        &self,
        request: Request<Streaming<v1::ScoreRequest>>,
    ) -> Result<Response<Self::ScoreStreamStream>, Status> {
        let answer = self.0.clone();
        Ok(Response::new(Box::pin(request.into_inner().map(move |message| message.map(|_| answer.clone())))))
    }
}

#[tonic::async_trait]
impl AdminService for Nothing {
    async fn forget(&self, _: Request<v1::ForgetRequest>) -> Result<Response<v1::ForgetResponse>, Status> {
        Err(Status::unimplemented("nobody is known here"))
    }

    async fn get_state(&self, _: Request<v1::GetStateRequest>) -> Result<Response<v1::State>, Status> {
        Ok(Response::new(v1::State { cpu_micros: cpu_time().as_micros() as u64, ..Default::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_size_of_real_ones() {
        for bytes in [10, 100, 125, 400, 1_000, 20_000] {
            assert_eq!(answer(bytes).encoded_len(), bytes);
        }
        assert_eq!(answer(0).encoded_len(), 0);
        // Where a size field grows, a byte less.
        let short = (0..20_000).filter(|bytes| answer(*bytes).encoded_len() != *bytes).count();
        assert!(short < 20, "{short}");
    }
}
