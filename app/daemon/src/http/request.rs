//! What the main loop is asked and what it answers, typed.

use serde::Serialize;
use serde_json::Value;
use tapway_api::announcement::{Announcement, AnnouncementQuery};
use tapway_api::bmp::Collector;
use tapway_api::config::{CheckBody, Checked, Configuration};
use tapway_api::conflict::Conflict;
use tapway_api::doctor::Diagnosis;
use tapway_api::drain::Drain;
use tapway_api::explain::{ExplainQuery, Explanation};
use tapway_api::instance::{Instance, InstanceDetail, InstanceQuery};
use tapway_api::kernel::KernelObject;
use tapway_api::list::List;
use tapway_api::mrt::MrtDump;
use tapway_api::peer::{Disable, Peer, PeerDetail, Reset};
use tapway_api::plan::Plan;
use tapway_api::policy::{Policy as ApiPolicy, PolicyTest, PolicyTested};
use tapway_api::problem::Problem;
use tapway_api::route::{Route, RouteQuery};
use tapway_api::rpki::{RpkiAnswer, RpkiCache, RpkiQuery};
use tapway_api::shutdown::Shutdown;
use tapway_api::source::Source;
use tapway_api::status::Status;
use tapway_api::write::{Applied, Done};
use tapway_bgp::config::Policy;
use tapway_model::{CollectorName, InstanceName, PeerName, PolicyName, SourceName};

/// A request, parsed and checked as far as that is possible without the daemon's state.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiRequest {
    /// Answer: [`ApiReply::Status`].
    Status,
    /// Answer: [`ApiReply::Instances`].
    InstanceList(InstanceQuery),
    /// Answer: [`ApiReply::InstanceDetails`], or not found.
    InstanceShow(InstanceName),
    /// All or none. Names differ from each other. Answer: [`ApiReply::Applied`].
    InstanceApply(Vec<tapway_model::Instance>),
    /// Answer: [`ApiReply::Done`], or not found.
    InstanceRemove(InstanceName),
    /// Answer: [`ApiReply::Peers`].
    PeerList,
    /// Answer: [`ApiReply::Peer`], or not found.
    PeerShow(PeerName),
    /// The value has the keys of `[peer.NAME]`, unchecked. Answer: [`ApiReply::Applied`].
    PeerApply(PeerName, Value),
    /// Answer: [`ApiReply::Done`], or not found.
    PeerRemove(PeerName),
    /// Answer: [`ApiReply::Done`], or not found.
    PeerReset(PeerName, Reset),
    /// Answer: [`ApiReply::Done`], or not found.
    PeerDisable(PeerName, Disable),
    /// Answer: [`ApiReply::Done`], or not found.
    PeerEnable(PeerName),
    /// Answer: [`ApiReply::Policies`].
    PolicyList,
    /// Answer: [`ApiReply::Policy`], or not found.
    PolicyShow(PolicyName),
    /// Answer: [`ApiReply::Applied`].
    PolicyApply(Box<CheckedPolicy>),
    /// Answer: [`ApiReply::Done`], or not found.
    PolicyRemove(PolicyName),
    /// With the policies that the question itself defines. Answer: [`ApiReply::PolicyTested`], or not found.
    PolicyTest(PolicyName, Box<PolicyTest>, Vec<Policy>),
    /// Answer: [`ApiReply::Routes`].
    RouteList(RouteQuery),
    /// Answer: [`ApiReply::RpkiCaches`].
    RpkiCaches,
    /// Answer: [`ApiReply::Done`], when the file is there.
    MrtDump(MrtDump),
    /// Answer: [`ApiReply::Collectors`].
    BmpList,
    /// Answer: [`ApiReply::Collector`], or not found.
    BmpShow(CollectorName),
    /// Answer: [`ApiReply::RpkiAnswer`].
    RpkiState(RpkiQuery),
    /// Answer: [`ApiReply::Announcements`].
    AnnouncementList(AnnouncementQuery),
    /// Answer: [`ApiReply::Conflicts`].
    ConflictList,
    /// Answer: [`ApiReply::Problems`].
    ProblemList,
    /// Answer: [`ApiReply::Sources`].
    SourceList,
    /// Answer: [`ApiReply::Done`], or not found.
    SourceRefresh(SourceName),
    /// Answer: [`ApiReply::Done`], or not found.
    SourceForget(SourceName),
    /// Answer: [`ApiReply::Kernel`].
    KernelList,
    /// Answer: [`ApiReply::Plan`].
    Plan,
    /// Answer: [`ApiReply::Explanation`].
    Explain(ExplainQuery),
    /// Answer: [`ApiReply::Diagnosis`].
    Doctor,
    /// Answer: [`ApiReply::Configuration`].
    ConfigShow,
    /// Answer: [`ApiReply::Checked`].
    ConfigCheck(CheckBody),
    /// Answer: [`ApiReply::Checked`].
    ConfigReload,
    /// Answer: [`ApiReply::Done`].
    Drain(Drain),
    /// Answer: [`ApiReply::Done`].
    Shutdown(Shutdown),
}

/// A policy that was checked by itself: as written, and as understood. Making it ready takes time, which is
/// not the main loop's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedPolicy {
    /// As written.
    pub value: Value,
    /// As understood.
    pub policy: Policy,
}

/// An answer. Its JSON is that of the value inside.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "each variant is named after the type inside")]
pub enum ApiReply {
    Status(Box<Status>),
    Instances(List<Instance>),
    InstanceDetails(List<InstanceDetail>),
    Peers(List<Peer>),
    Peer(Box<PeerDetail>),
    Policies(List<ApiPolicy>),
    Policy(ApiPolicy),
    PolicyTested(PolicyTested),
    Routes(List<Route>),
    RpkiCaches(List<RpkiCache>),
    RpkiAnswer(RpkiAnswer),
    Collectors(List<Collector>),
    Collector(Collector),
    Announcements(List<Announcement>),
    Conflicts(List<Conflict>),
    Problems(List<Problem>),
    Sources(List<Source>),
    Kernel(List<KernelObject>),
    Plan(Plan),
    Explanation(Box<Explanation>),
    Diagnosis(Diagnosis),
    Configuration(Configuration),
    Checked(Checked),
    Applied(Applied),
    Done(Done),
}

impl ApiReply {
    /// A [`Done`] with this text.
    pub fn done(text: impl Into<String>) -> ApiReply {
        ApiReply::Done(Done { text: text.into() })
    }
}
