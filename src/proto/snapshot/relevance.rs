//! Who is seen for another reason than being near, and who is hidden: what the game says of this
//! tick.
//!
//! Keeps the game's words as they were said, and as sets of slots that [`super::interest`] combines by
//! the word. Knows entities, teams and clients. Has no idea of distances, and none of what a client
//! holds.

use super::columns::Columns;
use super::slots::SlotSet;
use crate::id::{ClientSlot, EntityId};

/// A side in the game, as the game numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Team(pub u8);

/// Who sees an entity besides those who are near, and who does not although it is.
///
/// The default is everybody who is near, and nobody else. What is said with
/// [`super::FrameBuilder::show`] and [`super::FrameBuilder::hide`] of one client wins over all this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relevance {
    /// Every client sees it, wherever it is: the score, the ball.
    pub everyone: bool,
    /// This team sees it, wherever it is; others do when they are near.
    pub team: Option<Team>,
    /// Who is not of this team does not see it, however near, and even if `everyone` does. The team
    /// itself sees it when it is near, or as the other two say.
    pub team_only: Option<Team>,
}

/// One client's exception. In the order of the fields: a client's are together, the hidden last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Exception {
    client: ClientSlot,
    hidden: bool,
    entity: EntityId,
}

/// What the game says of one tick. Keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Relevances {
    /// By slot: of which generation, and what. As long as the highest slot that something was said of.
    said: Vec<Option<(u16, Relevance)>>,
    /// Sorted by [`Self::build`].
    exceptions: Vec<Exception>,
    everyone: SlotSet,
    /// By team: who is shown to it.
    shown: Vec<SlotSet>,
    /// Who is for one team only, whichever that is.
    guarded: SlotSet,
    /// By team: who of these is for this one.
    own: Vec<SlotSet>,
}

impl Relevances {
    /// Forgets everything and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.said.clear();
        self.exceptions.clear();
        let single = [&mut self.everyone, &mut self.guarded];
        for set in single
            .into_iter()
            .chain(&mut self.shown)
            .chain(&mut self.own)
        {
            set.clear(0);
        }
    }

    /// Says who sees an entity. The last word on a slot counts.
    pub(super) fn say(&mut self, id: EntityId, relevance: Relevance) {
        let slot = usize::from(id.slot);
        if self.said.len() <= slot {
            self.said.resize(slot + 1, None);
        }
        self.said[slot] = Some((id.generation, relevance));
    }

    /// Makes an exception for one client.
    pub(super) fn except(&mut self, client: ClientSlot, entity: EntityId, hidden: bool) {
        self.exceptions.push(Exception {
            client,
            hidden,
            entity,
        });
    }

    /// Makes the sets of what was said, of the entities that are there.
    pub(super) fn build(&mut self, columns: &Columns) {
        self.exceptions.sort_unstable();
        for (slot, said) in self.said.iter().enumerate() {
            let Some((generation, relevance)) = *said else {
                continue;
            };
            let slot = slot as u16;
            if !columns.holds(EntityId { slot, generation }) {
                continue;
            }
            if relevance.everyone {
                self.everyone.insert(slot);
            }
            if let Some(team) = relevance.team {
                of_team(&mut self.shown, team).insert(slot);
            }
            if let Some(team) = relevance.team_only {
                self.guarded.insert(slot);
                of_team(&mut self.own, team).insert(slot);
            }
        }
    }

    /// The sets as one client's team sees them.
    pub(super) fn side(&self, team: Option<Team>) -> Side<'_> {
        let index = team.map(|team| usize::from(team.0));
        Side {
            everyone: &self.everyone,
            shown: index.and_then(|index| self.shown.get(index)),
            guarded: &self.guarded,
            own: index.and_then(|index| self.own.get(index)),
        }
    }

    /// A client's exceptions and whether they are hidden: first who is shown, then who is hidden.
    pub(super) fn exceptions(&self, client: ClientSlot) -> impl Iterator<Item = (EntityId, bool)> {
        let start = self
            .exceptions
            .partition_point(|exception| exception.client < client);
        let rest = self.exceptions.get(start..).unwrap_or(&[]);
        rest.iter()
            .take_while(move |exception| exception.client == client)
            .map(|exception| (exception.entity, exception.hidden))
    }

    /// What was said of an entity, in the game's own words.
    pub(super) fn of(&self, id: EntityId) -> Relevance {
        let said = self.said.get(usize::from(id.slot)).copied().flatten();
        said.filter(|(generation, _)| *generation == id.generation)
            .map_or(Relevance::default(), |(_, relevance)| relevance)
    }
}

/// A team's set, made when it is the first of its number.
fn of_team(sets: &mut Vec<SlotSet>, Team(number): Team) -> &mut SlotSet {
    let index = usize::from(number);
    if sets.len() <= index {
        sets.resize_with(index + 1, SlotSet::default);
    }
    &mut sets[index]
}

/// The sets of a frame that concern one client, by its team.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    everyone: &'a SlotSet,
    shown: Option<&'a SlotSet>,
    guarded: &'a SlotSet,
    own: Option<&'a SlotSet>,
}

impl Side<'_> {
    /// One word of those who are hidden from the client's team.
    #[inline]
    pub(super) fn hidden(&self, index: usize) -> u64 {
        self.guarded.word(index) & !self.own.map_or(0, |own| own.word(index))
    }

    /// One word of those whom the client's team sees wherever they are.
    #[inline]
    pub(super) fn seen(&self, index: usize) -> u64 {
        let shown = self.shown.map_or(0, |shown| shown.word(index));
        (self.everyone.word(index) | shown) & !self.hidden(index)
    }

    /// One word of those whose distance decides nothing.
    #[inline]
    pub(super) fn settled(&self, index: usize) -> u64 {
        self.seen(index) | self.hidden(index)
    }

    /// Whether the game has said nothing: everybody's distance decides.
    pub(super) fn is_silent(&self) -> bool {
        let is_empty = |set: Option<&SlotSet>| set.is_none_or(|set| set.words().is_empty());
        is_empty(Some(self.everyone)) && is_empty(Some(self.guarded)) && is_empty(self.shown)
    }

    /// Whether nobody's distance decides anything.
    pub(super) fn settles_all(&self, slots: &SlotSet) -> bool {
        let mut words = slots.words().iter().enumerate();
        !self.is_silent() && words.all(|(index, word)| word & !self.settled(index) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Quantity;
    use super::super::packed::Layout;
    use super::*;
    use crate::time::Tick;

    const fn id(slot: u16, generation: u16) -> EntityId {
        EntityId { slot, generation }
    }

    fn words(relevances: &Relevances, team: Option<Team>) -> (u64, u64) {
        let side = relevances.side(team);
        (side.seen(0), side.hidden(0))
    }

    #[test]
    fn a_team_sees_what_is_shown_to_it_and_nothing_that_is_kept_from_it() {
        let mut columns = Columns::default();
        columns.clear(Tick(1));
        let layout = Layout::new(&[Quantity::Flags { bits: 1 }.coding()]);
        for slot in 0..5 {
            columns.place(id(slot, 0), 0, &layout, &[0]);
        }
        let (red, blue) = (Some(Team(0)), Some(Team(200)));
        let mut relevances = Relevances::default();
        for round in 0..2 {
            relevances.clear();
            assert_eq!(words(&relevances, red), (0, 0), "round {round}");
            let mut say = |slot, generation, everyone, team, team_only| {
                let relevance = Relevance {
                    everyone,
                    team,
                    team_only,
                };
                relevances.say(id(slot, generation), relevance);
            };
            say(0, 0, true, None, None);
            say(1, 0, false, blue, None);
            say(2, 0, true, None, blue);
            say(3, 0, false, None, red);
            say(4, 1, true, None, blue); // of somebody who is not there
            say(9, 0, true, None, None); // of nobody
            relevances.build(&columns);
            assert_eq!(words(&relevances, None), (0b00001, 0b01100));
            assert_eq!(words(&relevances, red), (0b00001, 0b00100));
            assert_eq!(words(&relevances, blue), (0b00111, 0b01000));
            assert_eq!(words(&relevances, Some(Team(7))), (0b00001, 0b01100));
        }
    }

    #[test]
    fn an_exception_is_for_one_client_and_hiding_comes_last() {
        let client = |index, generation| ClientSlot { index, generation };
        let mut relevances = Relevances::default();
        relevances.except(client(1, 0), id(3, 0), true);
        relevances.except(client(1, 1), id(4, 0), true);
        relevances.except(client(1, 0), id(9, 0), false);
        relevances.except(client(0, 0), id(5, 0), false);
        relevances.build(&Columns::default());
        let of = |slot| relevances.exceptions(slot).collect::<Vec<_>>();
        assert_eq!(of(client(1, 0)), [(id(9, 0), false), (id(3, 0), true)]);
        assert_eq!(of(client(1, 1)), [(id(4, 0), true)]);
        assert_eq!(of(client(2, 0)), []);
        relevances.clear();
        assert_eq!(relevances.exceptions(client(1, 0)).count(), 0);
    }
}
