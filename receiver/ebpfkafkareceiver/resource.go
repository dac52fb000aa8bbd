// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import "go.opentelemetry.io/collector/pdata/pcommon"

// clusterResource is the resource of the group view. A cluster whose id is not known yet has no attribute.
func (b *batch) clusterResource(cluster string) pcommon.Resource {
	rb := b.NewResourceBuilder()
	set(rb.SetKafkaClusterID, cluster)
	return rb.Emit()
}

// processResource is the resource of the client view. Every process has a service.instance.id of its own, since that
// is what keeps the series of two processes apart in Prometheus.
func (b *batch) processResource(owner processOwner) pcommon.Resource {
	rb := b.NewResourceBuilder()
	set(rb.SetKafkaClusterID, owner.cluster)
	if remote := owner.process.Remote; remote != "" {
		// The process is the broker's. Of the client itself no more is known than where it is.
		set(rb.SetClientAddress, remote)
		set(rb.SetServiceInstanceID, remote)
		return rb.Emit()
	}
	identity := b.publisher.processes.Resolve(owner.process.PID, owner.process.StartTime, owner.process.Comm)
	rb.SetProcessPid(int64(owner.process.PID))
	set(rb.SetProcessExecutableName, identity.Executable)
	set(rb.SetServiceName, identity.ServiceName)
	set(rb.SetServiceInstanceID, identity.ServiceInstanceID)
	set(rb.SetContainerID, identity.ContainerID)
	set(rb.SetK8sPodUID, identity.PodUID)
	return rb.Emit()
}

// set leaves an attribute out whose value is not known.
func set(setAttribute func(string), value string) {
	if value != "" {
		setAttribute(validName(value))
	}
}
