"""ClusterService: every data plane is this devbox."""

from __future__ import annotations

from typing import Any

from flyte_lite.devbox.services.call import Call
from flyte_lite.idl.flyteidl2.cluster import payload_pb2


class ClusterService:
    """`flyteidl2.cluster.ClusterService`."""

    name = "flyteidl2.cluster.ClusterService"

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {"SelectCluster": self.select_cluster}

    def select_cluster(self, _: payload_pb2.SelectClusterRequest, call: Call) -> payload_pb2.SelectClusterResponse:
        """The address that the caller used, whatever it is for."""
        return payload_pb2.SelectClusterResponse(cluster_endpoint=call.endpoint)
