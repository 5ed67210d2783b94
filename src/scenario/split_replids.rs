//! Guide, step 3: round robin splits the replicas over both primaries.

use anyhow::Result;

use super::{Scenario, reference};
use crate::cluster::Order;
use crate::model::Class;
use crate::property::replids;
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "split-replids",
    title: "replicas are split over two master_replids",
    promise: "replicas behind the proxy follow both primaries, each showing the current id of a live one",
    source: "guide, Testing (one of the replicas should have a different value)",
    seconds: 3,
    variants: &[""],
    long: &[],
    damage: &[Class::WrongInfo, Class::Divergence],
    needs: &[],
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let roles = cluster.roles();
    let roles = &roles;
    let groups = eventually(
        cluster,
        "every replica shows a live primary's id",
        DEADLINE,
        || async move { replids::groups(&cluster.glance().await, roles) },
    )
    .await;
    let described = groups
        .as_ref()
        .map(replids::described)
        .map_err(Clone::clone);
    let live = trial.check(
        "live-primary",
        "each replica's master_replid is the current id of a live primary",
        described,
    );
    if let Ok(groups) = groups
        && live
    {
        let text = replids::described(&groups);
        trial.headline(text.clone());
        let split = if groups.len() == 2 {
            Ok(text)
        } else {
            Err(text)
        };
        trial.check("split", "the replicas are split over both primaries", split);
    }
    Ok(())
}
