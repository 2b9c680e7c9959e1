#include "world.hpp"

#include <algorithm>
#include <cstdlib>

namespace game {

namespace {

constexpr int REACH = 8 * PACE; // how far a strike goes
constexpr int STRIKE_FRAMES = FRAMES_PER_SECOND;

// Walks one coordinate, and turns round at the end of the world.
void walk(int &at, int &direction, int speed, int end) {
  at += direction * speed / (100 * FRAMES_PER_SECOND);
  if (at >= 0 && at < end) return;
  at = at < 0 ? 0 : end - 1;
  direction = -direction;
}

// Roughly how far they are from each other; exact enough for a strike.
int distance(const entity &a, const entity &b) {
  return std::max(std::abs(a.x - b.x), std::abs(a.y - b.y));
}

entity *nearest(std::vector<entity> &entities, const entity &from) {
  entity *found = nullptr;
  int best = REACH + 1;
  for (entity &other : entities) {
    if (&other == &from || other.is_leaving) continue;
    if (const int far = distance(from, other); far < best) {
      best = far;
      found = &other;
    }
  }
  return found;
}

// Who is struck runs off somewhere; who falls stands up again, so the number of players stays.
void strike(const entity &from, entity &victim, rules &rules, randomness &random) {
  victim.hp -= rules.damage(distance(from, victim), victim.hp);
  if (victim.hp <= 0) victim.hp = HP_MAX;
  victim.dx = static_cast<int>(random() % 201) - 100;
  victim.dy = static_cast<int>(random() % 201) - 100;
}

} // namespace

std::size_t zone_at(int x) {
  const int index = std::clamp(x, 0, WORLD_WIDTH - 1) / ZONE_WIDTH;
  return static_cast<std::size_t>(index);
}

void step(std::vector<entity> &entities, rules &rules, std::uint64_t frame,
          randomness &random) {
  std::uint64_t turn = frame; // everybody strikes once a second, spread over the frames
  for (entity &each : entities) {
    turn++;
    if (each.is_leaving) continue;
    const int speed = rules.speed(each.hp);
    walk(each.x, each.dx, speed, WORLD_WIDTH);
    walk(each.y, each.dy, speed, WORLD_HEIGHT);
    if (turn % STRIKE_FRAMES != 0) continue;
    if (each.hp < HP_MAX)
      each.hp = std::min(HP_MAX, each.hp + rules.regeneration(each.hp));
    if (entity *victim = nearest(entities, each)) strike(each, *victim, rules, random);
  }
}

entity *roster::find(const std::string &id) {
  const auto found = index_.find(id);
  return found == index_.end() ? nullptr : &entities_[found->second];
}

void roster::add(entity added) {
  index_[added.id] = entities_.size();
  entities_.push_back(std::move(added));
}

void roster::remove(const std::string &id) {
  const auto found = index_.find(id);
  if (found == index_.end()) return;
  const std::size_t hole = found->second;
  index_.erase(found);
  if (hole + 1 != entities_.size()) { // the last one moves into the hole
    entities_[hole] = std::move(entities_.back());
    index_[entities_[hole].id] = hole;
  }
  entities_.pop_back();
}

} // namespace game
