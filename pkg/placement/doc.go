// Package placement answers what OpenStack's placement service answers, for the trees of one node or of several: which
// providers could serve a question (its allocation candidates), why none could, and whether a claim is good. The words
// are placement's: provider, inventory, resource class, trait, group, candidate, consumer, allocation, generation.
//
// What it owns:
//   - Tree: providers with inventories and traits. Nothing is rolled up: an amount is taken from one provider, never
//     summed over siblings or attributed to an ancestor, and traits are not inherited.
//   - Candidates and First: numbered groups (each served by one provider), the unnumbered group (each class by any
//     provider of the tree, traits met together), group_policy, same_subtree, in_tree, root_required, limit. The
//     question may come from a stranger: its size, the search's steps and the number of candidates are bounded.
//   - Ledger: claims per consumer, all or nothing, with the generations of consumers and providers.
//   - Pools: which VF of exactly the provider that a group was mapped to.
//   - ParseQuestion and Answer: the JSON of `nri-sriov candidates`.
//
// Where the upstream service answers otherwise than its own specification, this package follows the specification:
// amounts never leak between candidates; a resourceless group may have nothing but forbidden traits, and heeds in_tree;
// merged amounts are held against what is free, not against the total; a refused claim leaves no consumer behind; a
// doubled exclamation mark before a trait is an error.
//
// Not supported, and a bad request that says so: member_of, and providers that share their inventories through
// aggregates (MISC_SHARES_VIA_AGGREGATE). An aggregate that nobody asks for has no effect.
//
// The package is pure: it knows neither the kernel nor the disk, never logs, and imports no package of this project.
// Nothing in it may be used by several goroutines at once; the caller has the lock.
package placement
