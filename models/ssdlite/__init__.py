"""SSDLite on any network here: raw boxes and scores in the graph, suppression outside of it."""

from cnn_export.models.ssdlite.detections import Detections, detections
from cnn_export.models.ssdlite.network import SSDLite, ssdlite

__all__ = ["Detections", "SSDLite", "detections", "ssdlite"]
