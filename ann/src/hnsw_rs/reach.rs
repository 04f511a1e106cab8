//! Which items a walk gets to.

use super::state::State;

/// Live items that the links lead to from where searches start.
pub(super) fn count(state: &State) -> usize {
    let table = state.table();
    if table.numbers() == 0 {
        // The crate's iterator panics where there is nothing to go through.
        return 0;
    }
    let mut links = vec![Vec::new(); table.numbers()];
    let mut highest = None;
    for point in state.graph.get_point_indexation() {
        let (number, layer) = (point.get_origin_id(), point.get_point_id().0);
        if highest.is_none_or(|(top, _)| layer > top) {
            highest = Some((layer, number));
        }
        links[number] =
            point.get_neighborhood_id().iter().flatten().map(|neighbour| neighbour.get_origin_id()).collect();
    }
    let mut reached = vec![false; links.len()];
    let mut queue: Vec<usize> = highest.map(|(_, number)| number).into_iter().collect();
    while let Some(number) = queue.pop() {
        if !std::mem::replace(&mut reached[number], true) {
            queue.extend(links[number].iter().filter(|other| !reached[**other]));
        }
    }
    (0..reached.len()).filter(|number| reached[*number] && table.present(*number).is_some()).count()
}
