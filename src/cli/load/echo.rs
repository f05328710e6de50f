//! A server that reads messages of the same size, does nothing with them, and answers: what gRPC alone costs here.

use std::net::SocketAddr;
use std::thread;

use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::pb::v1;
use crate::pb::v1::event_service_server::{EventService, EventServiceServer};

struct Echo;

fn answer(request: &v1::TrackRequest) -> v1::TrackResponse {
    v1::TrackResponse { accepted: u32::try_from(request.events.len()).unwrap_or(u32::MAX), ..Default::default() }
}

#[tonic::async_trait]
impl EventService for Echo {
    async fn track(&self, request: Request<v1::TrackRequest>) -> Result<Response<v1::TrackResponse>, Status> {
        Ok(Response::new(answer(request.get_ref())))
    }

    type TrackStreamStream =
        std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<v1::TrackResponse, Status>> + Send>>;

    async fn track_stream(
        &self,
        request: Request<Streaming<v1::TrackRequest>>,
    ) -> Result<Response<Self::TrackStreamStream>, Status> {
        Ok(Response::new(Box::pin(request.into_inner().map(|message| message.map(|message| answer(&message))))))
    }
}

/// Serves on a free port of this machine, on tonic's default runtime, until the program ends.
///
/// # Errors
/// When the system gives no port or no thread.
pub fn start() -> std::io::Result<SocketAddr> {
    let runtime = tokio::runtime::Runtime::new()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("inkling-echo".to_owned()).spawn(move || {
        let serving = Server::builder().tcp_nodelay(true).add_service(EventServiceServer::new(Echo));
        runtime.block_on(serving.serve_with_incoming(TcpListenerStream::new(listener)))
    })?;
    Ok(address)
}
