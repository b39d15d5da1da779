// Package inventory owns what the node has and who has it: providers (PFs), their traits, their VFs with their states,
// and claims, which are decided under one lock. It follows OpenStack placement: a request is served by one provider,
// nothing is rolled up to the host, and a refusal says why.
//
// It knows neither NRI nor the disk, but for what sriov-cni has written there (cnilocks.go); the kernel is read in
// reader.go only, through pkg/vf.
package inventory
