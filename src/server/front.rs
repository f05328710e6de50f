//! The front door: which service a call is for. Bid requests and events go straight to theirs; a router, that must find
//! paths of any kind, takes about a twentieth of what a score costs.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic::service::Routes;

use super::event_service::EventApi;
use super::shared::Shared;
use super::signal_service::SignalApi;
use crate::pb::v1::event_service_server::EventServiceServer;
use crate::pb::v1::signal_service_server::SignalServiceServer;

/// All services, as one worker serves them: what is counted for each call is not shared between workers.
#[derive(Clone)]
pub struct Front {
    signals: SignalServiceServer<SignalApi>,
    events: EventServiceServer<EventApi>,
    others: Routes,
}

impl Front {
    /// A door to bid requests, events, and whatever else there is.
    pub fn new(shared: &Arc<Shared>, others: Routes) -> Front {
        let bytes_max = shared.limits.message_bytes_max;
        let signals = SignalServiceServer::new(SignalApi(Arc::clone(shared)));
        let events = EventServiceServer::new(EventApi(Arc::clone(shared)));
        Front {
            signals: signals.max_decoding_message_size(bytes_max),
            events: events.max_decoding_message_size(bytes_max),
            others,
        }
    }
}

impl Service<Request<Body>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // None of the services ever makes a call wait.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match service(request.uri().path()) {
            Some(SignalServiceServer::<SignalApi>::NAME) => self.signals.call(request),
            Some(EventServiceServer::<EventApi>::NAME) => self.events.call(request),
            _ => Box::pin(self.others.call(request)),
        }
    }
}

/// The service of a path such as `/inkling.v1.SignalService/Score`.
fn service(path: &str) -> Option<&str> {
    Some(path.strip_prefix('/')?.split_once('/')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_service() {
        let cases = [
            ("/inkling.v1.SignalService/Score", Some("inkling.v1.SignalService")),
            ("/inkling.v1.SignalServiceX/Score", Some("inkling.v1.SignalServiceX")),
            ("/a/b/c", Some("a")),
            ("/inkling.v1.SignalService", None),
            ("inkling.v1.SignalService/Score", None),
            ("/", None),
            ("", None),
        ];
        for (path, named) in cases {
            assert_eq!(service(path), named, "{path}");
        }
    }
}
