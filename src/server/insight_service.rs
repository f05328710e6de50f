//! What has been learned, over gRPC: questions that the applier's thread answers between two batches.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::convert::{self, CallError};
use super::edge::{moment, optional, required};
use super::scoring;
use super::shared::{PATIENCE, Shared};
use crate::engine::Catalog;
use crate::ids::{AdvertiserCode, GoalCode, Id};
use crate::insight;
use crate::opportunity::{PrivacyMode, REASONS_MAX, ScoreRequest, Target};
use crate::pb::v1 as pb;
use crate::pb::v1::insight_service_server::InsightService;
use crate::rejection::Rejection;
use crate::units::Currency;

/// The service behind `InsightService`.
pub struct InsightApi(pub Arc<Shared>);

#[tonic::async_trait]
impl InsightService for InsightApi {
    async fn get_goal(&self, request: Request<pb::GetGoalRequest>) -> Result<Response<pb::GoalReport>, Status> {
        let request = request.into_inner();
        Ok(Response::new(self.goal(request).await.map_err(|error| self.0.counted(error))?))
    }

    async fn get_segments(
        &self,
        request: Request<pb::GetSegmentsRequest>,
    ) -> Result<Response<pb::GetSegmentsResponse>, Status> {
        let request = request.into_inner();
        Ok(Response::new(self.segments(request).await.map_err(|error| self.0.counted(error))?))
    }

    async fn get_actions(
        &self,
        request: Request<pb::GetActionsRequest>,
    ) -> Result<Response<pb::GetActionsResponse>, Status> {
        let request = request.into_inner();
        Ok(Response::new(self.actions(request).await.map_err(|error| self.0.counted(error))?))
    }

    async fn get_funnel(&self, request: Request<pb::GetFunnelRequest>) -> Result<Response<pb::Funnel>, Status> {
        let request = request.into_inner();
        Ok(Response::new(self.funnel(request).await.map_err(|error| self.0.counted(error))?))
    }

    async fn explain_user(
        &self,
        request: Request<pb::ExplainUserRequest>,
    ) -> Result<Response<pb::ExplainUserResponse>, Status> {
        let request = request.into_inner();
        Ok(Response::new(self.explain(request).await.map_err(|error| self.0.counted(error))?))
    }
}

impl InsightApi {
    async fn goal(&self, wire: pb::GetGoalRequest) -> Result<pb::GoalReport, CallError> {
        self.0.admit()?;
        let catalog = self.0.scorer.catalog();
        let (_, goal) = goal(&catalog, &wire.advertiser, &wire.goal)?;
        let report = self.0.queue.ask(PATIENCE, move |engine, _| insight::goal_report(engine, goal)).await?;
        report.as_ref().map(convert::goal_report).ok_or(CallError::UnknownGoal(wire.goal))
    }

    async fn segments(&self, wire: pb::GetSegmentsRequest) -> Result<pb::GetSegmentsResponse, CallError> {
        self.0.admit()?;
        let catalog = self.0.scorer.catalog();
        let (advertiser, goal) = goal(&catalog, &wire.advertiser, &wire.goal)?;
        let reports = self.0.queue.ask(PATIENCE, move |engine, _| insight::segment_reports(engine, goal)).await?;
        let currency = currency(&catalog, &wire.advertiser, &wire.goal);
        Ok(convert::segment_reports(&catalog, advertiser, currency, &reports))
    }

    async fn actions(&self, wire: pb::GetActionsRequest) -> Result<pb::GetActionsResponse, CallError> {
        self.0.admit()?;
        let catalog = self.0.scorer.catalog();
        let (advertiser, goal) = goal(&catalog, &wire.advertiser, &wire.goal)?;
        let effects = self.0.queue.ask(PATIENCE, move |engine, _| insight::actions(engine, goal)).await?;
        Ok(convert::action_effects(&catalog, advertiser, &effects))
    }

    async fn funnel(&self, wire: pb::GetFunnelRequest) -> Result<pb::Funnel, CallError> {
        self.0.admit()?;
        let catalog = self.0.scorer.catalog();
        let advertiser = advertiser(&catalog, &wire.advertiser)?;
        let funnel = self.0.queue.ask(PATIENCE, move |engine, _| insight::funnel(engine, advertiser)).await?;
        let funnel = funnel.ok_or(CallError::UnknownAdvertiser(wire.advertiser))?;
        Ok(convert::funnel(&catalog, advertiser, &funnel))
    }

    async fn explain(&self, wire: pb::ExplainUserRequest) -> Result<pb::ExplainUserResponse, CallError> {
        self.0.admit()?;
        let catalog = self.0.scorer.catalog();
        let advertiser = advertiser(&catalog, &wire.advertiser)?;
        let user = self.0.edge.user(wire.user)?;
        let goals: Result<Vec<Id>, Rejection> = wire.goals.into_iter().map(|goal| required("goals", goal)).collect();
        let target = Target {
            advertiser: required("advertiser", wire.advertiser)?,
            campaign: None,
            line_item: None,
            creative: None,
            item: optional("item", wire.item)?,
            category: optional("category", wire.category)?,
            goals: goals?,
            base_p: None,
        };
        let request = ScoreRequest {
            opportunity: Id::literal("explain"),
            users: vec![user],
            context: Vec::new(),
            numbers: Vec::new(),
            segments: Vec::new(),
            privacy: PrivacyMode::Full,
            targets: vec![target],
            reasons_max: REASONS_MAX,
        };
        let at = moment("at_ms", wire.at_ms)?;
        let report =
            self.0.queue.ask(PATIENCE, move |engine, _| insight::user_report(engine, advertiser, user)).await?;
        Ok(pb::ExplainUserResponse {
            user: report.map(|report| convert::user_report(&catalog, advertiser, &report)),
            score: Some(scoring::explain(&self.0, &request, at)),
        })
    }
}

fn advertiser(catalog: &Catalog, name: &str) -> Result<AdvertiserCode, CallError> {
    catalog.advertiser(name).ok_or_else(|| CallError::UnknownAdvertiser(name.to_owned()))
}

fn goal(catalog: &Catalog, of: &str, name: &str) -> Result<(AdvertiserCode, GoalCode), CallError> {
    let advertiser = advertiser(catalog, of)?;
    let goal = catalog.goal(advertiser, name).ok_or_else(|| CallError::UnknownGoal(name.to_owned()))?;
    Ok((advertiser, goal))
}

fn currency(catalog: &Catalog, advertiser: &str, goal: &str) -> Option<Currency> {
    let advertiser = catalog.settings().advertisers.iter().find(|one| one.id.as_str() == advertiser)?;
    advertiser.goals.iter().find(|one| one.id.as_str() == goal).map(|goal| goal.currency)
}
