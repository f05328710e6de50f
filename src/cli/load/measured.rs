//! What was measured of one server, and how it is told.

use std::time::Duration;

use anyhow::bail;

use super::super::words;
use super::Plan;
use super::tally::Tally;
use crate::report::table::{Align, Table};

/// What was measured of one server.
pub struct Measured {
    pub tally: Tally,
    pub elapsed: Duration,
    /// CPU time that the server used meanwhile, if it told.
    pub cpu: Option<Duration>,
}

/// A table of service and echo, and what it comes to in words.
pub fn report(plan: &Plan, service: &Measured, echo: Option<&Measured>) -> String {
    let (item, message) = (plan.call.item(), plan.call.message());
    let mut heads = vec![String::new(), format!("{item}s/s"), format!("{message}s/s")];
    heads.extend(["p50 µs", "p90", "p99", "p99.9", "max"].map(str::to_owned));
    heads.push(format!("CPU µs/{item}"));
    let mut columns: Vec<_> = heads.iter().map(|head| (head.as_str(), Align::Right)).collect();
    columns[0].1 = Align::Left;
    let mut table = Table::new(&columns);
    table.row(service.cells("service"));
    echo.into_iter().for_each(|echo| table.row(echo.cells("echo")));
    let mut text = table.to_string();
    if let Some(cpu) = service.cpu_an_item() {
        text +=
            &format!("a second of the service's CPU is enough for {} {item}s\n", words::count((1e6 / cpu) as usize));
    }
    if plan.call.scores() {
        let Tally { items, late, .. } = service.tally;
        let (late, answers) = (words::count(late as usize), words::several(items as usize, "answer"));
        text += &format!(
            "{late} of {answers} came after their time, {} ms, or said that there was none left\n",
            plan.tmax.as_millis()
        );
    }
    if let Some(echo) = echo {
        text += &compared(plan, service, echo);
    }
    text
}

fn compared(plan: &Plan, service: &Measured, echo: &Measured) -> String {
    let item = plan.call.item();
    let mut text = format!(
        "the service does {:.2} of the echo's {item}s a second; its p50 is {:.1} times the echo's\n",
        service.items_a_second() / echo.items_a_second(),
        service.percentile(50.0) / echo.percentile(50.0),
    );
    if plan.call.scores() {
        text += &format!(
            "an answer takes {} B, of the echo as of the service\n",
            words::count(service.answer_bytes() as usize)
        );
    }
    if let Some((ours, theirs)) = service.cpu_an_item().zip(echo.cpu_an_item()) {
        let (more, which) = if ours < theirs { (theirs - ours, "less") } else { (ours - theirs, "more") };
        text += &format!("CPU of the server: {:.2} times the echo's, {more:.2} µs {which} a {item}\n", ours / theirs);
    }
    text
}

impl Measured {
    /// Whether something was answered, and nothing went wrong.
    pub fn is_good(&self) -> bool {
        self.tally.failure.is_none() && self.tally.items > self.tally.refused
    }

    /// Bytes of an answer to a bid request, in the mean.
    pub fn answer_bytes(&self) -> u64 {
        self.tally.answer_bytes / self.tally.items.max(1)
    }

    /// Whether all was taken; if not, why, and what to do.
    ///
    /// # Errors
    /// When the service failed, or refused anything.
    pub fn verdict(&self, plan: &Plan) -> anyhow::Result<()> {
        let Tally { items, refused, .. } = self.tally;
        let (item, done) = (plan.call.item(), if plan.call.scores() { "answered" } else { "acknowledged" });
        if let Some(failure) = &self.tally.failure {
            bail!(
                "{failure}: the service failed when it had {done} {}; its standard error says why: mend that, and \
                 start it again",
                words::several((items - refused) as usize, item),
            );
        }
        let Some(refusal) = &self.tally.refusal else { return Ok(()) };
        let remedy = match refusal.code.as_str() {
            "unknown_advertiser" => ": name one that the service's configuration has, with --advertiser",
            "unknown_goal" => ": name one that the service's configuration has, with --goal",
            _ => "",
        };
        let count = |number: u64| words::count(number as usize);
        bail!("{} of {} {item}s were refused: {}{remedy}", count(refused), count(items), refusal.message);
    }

    fn items_a_second(&self) -> f64 {
        self.tally.items as f64 / self.elapsed.as_secs_f64()
    }

    /// CPU time of the server for one event or bid request, in microseconds.
    fn cpu_an_item(&self) -> Option<f64> {
        let items = (self.tally.items > 0).then_some(self.tally.items as f64)?;
        Some(self.cpu?.as_secs_f64() * 1e6 / items)
    }

    /// In microseconds.
    fn percentile(&self, percentile: f64) -> f64 {
        self.tally.times.value_at_percentile(percentile) as f64 / 1e3
    }

    fn cells(&self, name: &str) -> Vec<String> {
        let whole = |number: f64| words::count(number as usize);
        let rates = [self.items_a_second(), self.tally.messages as f64 / self.elapsed.as_secs_f64()];
        let times = [50.0, 90.0, 99.0, 99.9, 100.0].map(|percentile| self.percentile(percentile));
        let cpu = self.cpu_an_item().map_or("-".to_owned(), |cpu| format!("{cpu:.2}"));
        let name = std::iter::once(name.to_owned());
        name.chain(rates.into_iter().chain(times).map(whole)).chain([cpu]).collect()
    }
}
