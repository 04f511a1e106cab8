//! Engines in-process: how fast they build, and how fast they search at a recall.

use std::sync::Arc;

use anyhow::{Context, Result};

use crate::env::Env;
use crate::report::{Line, Section, Target, number};
use crate::stats;
use crate::vectors::Set;
use crate::vectors::curve::{Point, rate_at};
use crate::vectors::engine::{self, Ours, Peer, Run};

const RECALLS: [f64; 2] = [0.95, 0.99];
const EFS: [usize; 12] = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512];
/// Of Qdrant's engine: so many times k are rescored. One is its default; at high recall two are better.
const OVERSAMPLINGS: [Option<f64>; 2] = [None, Some(2.0)];

/// Our engine with the whole set, and how long its build took: what the service is measured against.
pub(super) struct Reference {
    pub(super) engine: Ours,
    pub(super) build_seconds: f64,
}

impl Reference {
    pub(super) async fn build(set: &Arc<Set>) -> Result<Self> {
        let mut engine = Ours::new(set, engine::lake);
        let build_seconds = engine.build().await?;
        Ok(Reference { engine, build_seconds })
    }
}

/// What one engine came to.
struct Figures {
    /// Seconds.
    builds: Vec<f64>,
    /// A curve for each setting beside ef, with a point for each ef.
    curves: Vec<Vec<Point>>,
}

impl Figures {
    fn new(settings: usize) -> Self {
        let nothing = Point { recall: 0.0, rates: Vec::new() };
        Figures { builds: Vec::new(), curves: vec![vec![nothing; EFS.len()]; settings] }
    }

    fn add(&mut self, setting: usize, at: usize, run: Run) {
        let point = &mut self.curves[setting][at];
        point.recall = run.recall;
        point.rates.push(run.queries as f64 / run.seconds);
    }

    /// With the best of the settings.
    fn rate_at(&self, recall: f64) -> Result<f64> {
        let rates = self.curves.iter().filter_map(|curve| rate_at(curve, recall));
        rates.reduce(f64::max).with_context(|| format!("recall {recall} is not reached"))
    }
}

enum Which {
    Ours(Ours),
    Peer(Box<Peer>),
}

/// Another engine, and what ours has to reach beside it.
struct Rival {
    name: &'static str,
    which: Which,
    /// What it is measured with beside ef.
    settings: &'static [Option<f64>],
    figures: Figures,
    /// So many times its queries/s.
    search_min: f64,
    /// So much of its time to build. Without it, that takes so long that it is measured once.
    build_max: Option<f64>,
}

impl Rival {
    async fn build(&mut self) -> Result<()> {
        let seconds = match &mut self.which {
            Which::Ours(ours) => ours.build().await,
            Which::Peer(peer) => peer.build().await,
        };
        self.figures.builds.push(seconds.with_context(|| format!("build by {}", self.name))?);
        Ok(())
    }

    /// All queries, with each setting.
    async fn search(&mut self, at: usize) -> Result<()> {
        for (number, setting) in self.settings.iter().enumerate() {
            let run = match &mut self.which {
                Which::Ours(ours) => ours.search(EFS[at]).await,
                Which::Peer(peer) => peer.search(EFS[at], *setting).await,
            };
            self.figures.add(number, at, run.with_context(|| format!("searches by {}", self.name))?);
        }
        Ok(())
    }
}

/// Adds the lines; keeps our engine.
pub(super) async fn run(env: &Env, set: &Arc<Set>, section: &mut Section) -> Result<Reference> {
    let (mut ours, mut figures) = (Ours::new(set, engine::lake), Figures::new(1));
    let mut rivals = rivals(env, set).await?;
    for round in 0..env.sizes.index_builds {
        figures.builds.push(ours.build().await?);
        for rival in rivals.iter_mut().filter(|rival| round == 0 || rival.build_max.is_some()) {
            rival.build().await?;
        }
    }
    for _ in 0..env.rounds {
        for (at, ef) in EFS.into_iter().enumerate() {
            figures.add(0, at, ours.search(ef).await?);
            for rival in &mut rivals {
                rival.search(at).await?;
            }
        }
    }
    for recall in RECALLS {
        for rival in &rivals {
            section.record(rival.name, search_line(&figures, rival, recall).map(|line| vec![line]));
        }
    }
    rivals.iter().for_each(|rival| section.add(build_line(&figures, rival)));
    for rival in rivals {
        if let Which::Peer(peer) = rival.which {
            peer.close().await?;
        }
    }
    Ok(Reference { engine: ours, build_seconds: stats::median(&figures.builds) })
}

async fn rivals(env: &Env, set: &Arc<Set>) -> Result<Vec<Rival>> {
    let qdrant = Rival {
        name: "Qdrant's engine",
        which: Which::Peer(Peer::open(env, set, "qdrant").await?.into()),
        settings: &OVERSAMPLINGS,
        figures: Figures::new(OVERSAMPLINGS.len()),
        search_min: 1.5,
        build_max: Some(0.9),
    };
    let hnswlib = Rival {
        name: "hnswlib",
        which: Which::Peer(Peer::open(env, set, "hnswlib").await?.into()),
        settings: &[None],
        figures: Figures::new(1),
        search_min: 2.0,
        build_max: Some(0.8),
    };
    let hnsw_rs = env.sizes.with_hnsw_rs.then(|| Rival {
        name: "hnsw_rs",
        which: Which::Ours(Ours::new(set, engine::hnsw_rs)),
        settings: &[None],
        figures: Figures::new(1),
        search_min: 5.0,
        build_max: None,
    });
    Ok([qdrant, hnswlib].into_iter().chain(hnsw_rs).collect())
}

fn search_line(ours: &Figures, rival: &Rival, recall: f64) -> Result<Line> {
    let mine = ours.rate_at(recall).context("ours")?;
    let theirs = rival.figures.rate_at(recall).context(rival.name)?;
    let what = format!("search, 1 thread, recall {recall:.2}: {}", rival.name);
    let target = Target::AtLeast(rival.search_min);
    Ok(Line::ratio(&what, number(mine, "/s"), number(theirs, "/s"), mine / theirs, target))
}

fn build_line(ours: &Figures, rival: &Rival) -> Line {
    let (mine, theirs) = (stats::median(&ours.builds), stats::median(&rival.figures.builds));
    let what = format!("build, {} threads: {}", engine::BUILD_THREADS, rival.name);
    let (our_text, their_text) = (number(mine, "s"), number(theirs, "s"));
    match rival.build_max {
        Some(bound) => Line::ratio(&what, our_text, their_text, mine / theirs, Target::AtMost(bound)),
        None => Line::figure(&what, our_text, their_text, Some(mine / theirs)),
    }
}
