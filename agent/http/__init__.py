"""The agent's HTTP interface: health, metrics, call records, outbound calls."""

from agent.http.server import HttpServer, HttpSettings, serve_http
from agent.http.switchboard import DialRefused, Switchboard

__all__ = ["DialRefused", "HttpServer", "HttpSettings", "Switchboard", "serve_http"]
