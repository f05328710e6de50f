//! For operators, over gRPC: forget a person, look at the state.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::convert::{self, CallError};
use super::queue::{Occurrence, Refused};
use super::shared::{PATIENCE, Shared};
use crate::engine::Applied;
use crate::event::Event;
use crate::pb::v1 as pb;
use crate::pb::v1::admin_service_server::AdminService;
use crate::stopwatch::cpu_time;

/// The service behind `AdminService`.
pub struct AdminApi(pub Arc<Shared>);

#[tonic::async_trait]
impl AdminService for AdminApi {
    async fn forget(&self, request: Request<pb::ForgetRequest>) -> Result<Response<pb::ForgetResponse>, Status> {
        self.forget_user(request.into_inner()).await.map_err(|error| self.0.counted(error))?;
        Ok(Response::new(pb::ForgetResponse {}))
    }

    async fn get_state(&self, request: Request<pb::GetStateRequest>) -> Result<Response<pb::State>, Status> {
        let state = self.state(request.into_inner()).await.map_err(|error| self.0.counted(error))?;
        Ok(Response::new(state))
    }
}

impl AdminApi {
    async fn forget_user(&self, wire: pb::ForgetRequest) -> Result<(), CallError> {
        self.0.admit()?;
        let user = self.0.edge.user(wire.user)?;
        let forget = Occurrence { occurred_at: None, event_id: None, event: Event::Forget(user) };
        let answer = self.0.queue.track(vec![forget], Some(PATIENCE)).await?;
        match answer.await.map_err(|_| Refused::Stopped)?.pop() {
            Some(Applied::Rejected(rejection)) => Err(CallError::Invalid(rejection)),
            Some(Applied::Done | Applied::Duplicate) | None => Ok(()),
        }
    }

    async fn state(&self, wire: pb::GetStateRequest) -> Result<pb::State, CallError> {
        self.0.admit()?;
        let question = move |engine: &crate::engine::Engine, seq: crate::ids::Seq| {
            let digest = wire.digest.then(|| format!("{:032x}", engine.digest().0));
            (seq, engine.now(), digest.unwrap_or_default())
        };
        let (seq, now, digest) = self.0.queue.ask(PATIENCE, question).await?;
        let lines = self.0.counter_lines().await;
        Ok(pb::State {
            seq: seq.0,
            now_ms: now.0,
            digest,
            counters: lines.iter().map(convert::counter).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cpu_micros: cpu_time().as_micros() as u64,
        })
    }
}
