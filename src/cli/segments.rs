//! `inkling segments`: what an advertiser's segments led to, as the running service knows it.

use anyhow::Context;
use clap::Args;

use super::json;
use super::remote::Remote;
use crate::demo::segment_report;
use crate::pb::v1;
use crate::pb::v1::insight_service_client::InsightServiceClient;

/// Shows what the segments of an advertiser have led to, from a running service
///
/// Counts fade with the goal's half-life, so they are smaller than those of a ledger.
#[derive(Debug, Args)]
pub struct Segments {
    /// A configured advertiser
    #[arg(long, value_name = "NAME")]
    advertiser: String,
    /// One of its goals
    #[arg(long, value_name = "NAME")]
    goal: String,
    /// Print the service's answer (GetSegmentsResponse) as one line of JSON instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Segments {
    /// Asks and prints.
    ///
    /// # Errors
    /// When the service does not answer, or does not know the advertiser or the goal.
    pub fn run(self) -> anyhow::Result<()> {
        let request = v1::GetSegmentsRequest { advertiser: self.advertiser, goal: self.goal.clone() };
        let segments = self.remote.talk(async {
            let mut client = InsightServiceClient::new(self.remote.connect().await?);
            Ok(self.remote.answer(client.get_segments(request)).await?.into_inner())
        })?;
        let text = match self.json {
            true => json::write(&segments) + "\n",
            false => segment_report(&segments, &self.goal),
        };
        super::print(&text).context("cannot write to standard output")
    }
}
