"""Whether orders are traced. OpenTelemetry itself is in `otlp`, which few import."""

from importlib.util import find_spec

from engine.setting_parser import SettingsError
from engine.settings import Settings


def is_enabled(settings: Settings) -> bool:
    """Tell whether there is a collector. Raises SettingsError if nothing could be sent to it."""
    if not settings.otel_exporter_otlp_endpoint:
        return False
    # Not `opentelemetry.sdk`: to find that is to import what is above it.
    if find_spec("opentelemetry") is None:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT needs the extra:"
            " pip install 'order-execution-engine[otel]'"
        )
    return True
