use tokio::sync::oneshot;

use super::*;
use crate::pool::{Answer, Input, Request};

fn job(texts: usize) -> (Arc<Job>, oneshot::Receiver<Answer>) {
    let (sender, receiver) = oneshot::channel();
    let inputs = (0..texts).map(|_| Input::Text("four".to_owned())).collect();
    (Job::new(Request { inputs, normalise: None, truncate: true }, true, sender).unwrap(), receiver)
}

fn queue(threads: usize, batch_tokens_max: usize) -> Queue {
    let limits = EncoderOptions { threads: 1, batch_tokens_max, queue_texts_max: 100, queue_bytes_max: 1000 };
    Queue::new(limits, threads)
}

/// Tokenises all that waits, each text `length` tokens long.
fn tokenise(queue: &mut Queue, length: usize) {
    while let Some(texts) = Some(queue.take_waiting()).filter(|texts| !texts.is_empty()) {
        let tokens = Tokens { ids: vec![1; length], truncated: None };
        let text = |text: Text<()>| Text { job: text.job, index: text.index, tokens: Some(tokens.clone()) };
        queue.tokenising += 1;
        queue.tokenised(texts.into_iter().map(text).collect());
    }
}

/// Takes a batch: how many texts it has.
fn encode(queue: &mut Queue) -> usize {
    match queue.take() {
        Some(Work::Encode(batch, _)) => batch.len(),
        _ => 0,
    }
}

/// Texts of these many tokens, tokenised.
fn ready(queue: &mut Queue, lengths: &[usize]) -> oneshot::Receiver<Answer> {
    let (job, receiver) = job(lengths.len());
    let text = |(index, length)| {
        let tokens = Tokens { ids: vec![1; length], truncated: None };
        Text { job: job.clone(), index, tokens: Some(tokens) }
    };
    queue.queued.texts += lengths.len();
    queue.queued.bytes += lengths.len() * 4;
    queue.tokenising += 1;
    queue.tokenised(lengths.iter().copied().enumerate().map(text).collect());
    receiver
}

/// Takes batches until nothing is left, by threads that are all done at once: how many tokens each has.
fn rounds(queue: &mut Queue) -> Vec<Vec<usize>> {
    let (mut rounds, threads) = (Vec::new(), queue.threads);
    loop {
        let batches = std::iter::from_fn(|| match queue.take() {
            Some(Work::Encode(_, tokens)) => Some(tokens),
            _ => None,
        });
        let round: Vec<_> = batches.take(threads).collect();
        round.iter().for_each(|tokens| queue.encoded(*tokens));
        if round.is_empty() {
            return rounds;
        }
        rounds.push(round);
    }
}

#[test]
fn idle_threads_share_what_is_there() {
    let mut queue = queue(2, 512);
    let (job, _receiver) = job(8);
    queue.push(job).unwrap();
    tokenise(&mut queue, 10);
    assert_eq!(encode(&mut queue), 4);
    assert_eq!(encode(&mut queue), 4);
    assert_eq!(encode(&mut queue), 0);
}

#[test]
fn batches_are_bounded_by_tokens() {
    let mut queue = queue(1, 35);
    let (long, _receiver) = job(1);
    let (short, _receiver2) = job(10);
    queue.push(short).unwrap();
    tokenise(&mut queue, 10);
    queue.push(long).unwrap();
    tokenise(&mut queue, 99);
    let batches: Vec<_> = std::iter::repeat_with(|| {
        let texts = encode(&mut queue);
        queue.encoding_tokens = 0;
        texts
    })
    .take(5)
    .collect();
    assert_eq!(batches, [3, 3, 3, 1, 1]);
}

#[test]
fn requests_take_turns() {
    let mut queue = queue(1, 512);
    let (bulk, _receiver) = job(50);
    let (one, _receiver2) = job(1);
    queue.push(bulk).unwrap();
    queue.push(one.clone()).unwrap();
    let first = queue.take_waiting();
    assert!(first.iter().any(|text| Arc::ptr_eq(&text.job, &one)), "the single text waits behind fifty");
}

#[test]
fn texts_are_tokenised_only_a_little_ahead() {
    let mut queue = queue(1, 20);
    let (bulk, _receiver) = job(50);
    queue.push(bulk).unwrap();
    let Some(Work::Tokenise(texts)) = queue.take() else { panic!("nothing to tokenise") };
    let tokens = Tokens { ids: vec![1; 10], truncated: None };
    queue.tokenised(
        texts.into_iter().map(|Text { job, index, .. }| Text { job, index, tokens: Some(tokens.clone()) }).collect(),
    );
    assert!(matches!(queue.take(), Some(Work::Encode(..))));
}

#[test]
fn who_left_is_not_encoded() {
    let mut queue = queue(1, 512);
    let ((gone, receiver), (late, receiver2), (stays, _receiver3)) = (job(3), job(4), job(2));
    queue.push(late).unwrap();
    tokenise(&mut queue, 5);
    queue.push(gone).unwrap();
    queue.push(stays).unwrap();
    drop((receiver, receiver2));
    tokenise(&mut queue, 5);
    assert_eq!(encode(&mut queue), 2);
    assert_eq!(queue.queued(), Queued::default());
}

#[test]
fn who_left_makes_room() {
    let mut queue = queue(1, 512);
    let ((gone, receiver), (next, _receiver2)) = (job(100), job(1));
    queue.push(gone).unwrap();
    assert!(queue.push(next.clone()).is_err());
    drop(receiver);
    assert!(queue.push(next).is_ok());
    assert_eq!(queue.queued(), Queued { texts: 1, bytes: 4 });
}

#[test]
fn threads_are_done_at_the_same_time() {
    let mut queue = queue(2, 256);
    let _receiver = ready(&mut queue, &[40, 5, 31, 9, 22, 38, 17, 26]);
    assert_eq!(rounds(&mut queue), [[92, 96]]);
    // Two batches each, none of which is small.
    let _receiver = ready(&mut queue, &[22; 32]);
    assert_eq!(rounds(&mut queue), [[176, 176], [176, 176]]);
}

#[test]
fn no_batch_is_made_of_crumbs() {
    let mut queue = queue(2, 256);
    let _receiver = ready(&mut queue, &[40, 6, 40]);
    assert_eq!(rounds(&mut queue), [[40, 46]]);
}

#[test]
fn one_that_waits_is_not_overtaken_by_the_longer_ones_behind_it() {
    let mut queue = queue(1, 100);
    let _receiver = ready(&mut queue, &[12]);
    let _receiver2 = ready(&mut queue, &[40; 20]);
    let Some(Work::Encode(batch, _)) = queue.take() else { panic!("nothing to encode") };
    assert!(batch.iter().any(|text| text.tokens.ids.len() == 12));
}

#[test]
fn who_finds_nothing_helps_while_others_are_at_something() {
    let mut queue = queue(2, 512);
    queue.sleeps();
    assert!(!queue.wants_help() && !queue.may_wake(), "nobody does anything");
    let (job, _receiver) = job(1);
    queue.push(job).unwrap();
    assert!(queue.may_wake(), "there is a text");
    let Some(Work::Tokenise(texts)) = queue.take() else { panic!("nothing to tokenise") };
    assert!(queue.wants_help() && queue.may_wake(), "there will be something to encode");
    queue.tokenised(texts.into_iter().map(|Text { job, index, .. }| Text { job, index, tokens: None }).collect());
    assert!(!queue.wants_help() && !queue.may_wake(), "the text was none");
    let _receiver2 = ready(&mut queue, &[10]);
    let Some(Work::Encode(_, tokens)) = queue.take() else { panic!("nothing to encode") };
    assert!(queue.wants_help() && queue.may_wake());
    queue.has_slept();
    assert!(!queue.may_wake(), "everybody is awake");
    (0..HELPERS_MAX).for_each(|_| queue.helps());
    queue.sleeps();
    assert!(!queue.wants_help() && !queue.may_wake(), "enough do");
    queue.has_helped();
    assert!(queue.wants_help());
    queue.encoded(tokens);
    assert!(!queue.wants_help(), "it is done");
}
