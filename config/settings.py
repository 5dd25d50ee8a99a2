"""Frozen settings, read once at the composition root from a YAML file and the environment, validated whole.

Precedence: explicit arguments, then environment (``CROSSCURRENT_REDIS__URL``), then the YAML file named by
``CROSSCURRENT_CONFIG``, then the defaults below. Unknown names are refused, so a typo is an error.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from config.errors import Misconfigured
from config.tagging import TaggingSettings
from config.vocabulary import Action, FusionStrategy, MissingRule, Modality, RankingMethod, RecommendSignal, Similarity

ENV_PREFIX = "CROSSCURRENT_"
CONFIG_FILE_VARIABLE = "CROSSCURRENT_CONFIG"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class KafkaSettings(_Section):
    """Where the broker is, who we are there, and what the topics are called."""

    bootstrap_servers: str = "localhost:9092"
    """Comma-separated ``host:port`` list."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How connections are protected and authenticated."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """Used by the SASL protocols."""
    username: str = ""
    """SASL user name."""
    password: SecretStr = SecretStr("")
    """SASL password; never printed."""
    ca_file: Path | None = None
    """Certificate authority for TLS; the system's store when empty."""
    topic_prefix: str = Field("crosscurrent", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    """Topics are ``<prefix>.content``, ``<prefix>.queries`` and so on; consumer groups ``<prefix>-<role>``."""
    partitions: int = Field(4, ge=1, le=1000)
    """Partitions of each topic at creation; the most workers a role can use."""
    replication_factor: int = Field(1, ge=1, le=7)
    """Copies of each partition at creation; 3 in production."""
    max_event_bytes: int = Field(8 * 2**20, ge=1024, le=128 * 2**20)
    """Largest event accepted, inline media included; topics are created to admit it."""
    session_timeout_s: float = Field(10.0, ge=1, le=300)
    """How long a killed worker keeps its partitions; Faust's default of 60 s leaves them still for a minute."""

    @model_validator(mode="after")
    def _sasl_needs_a_user(self) -> "KafkaSettings":
        if self.security_protocol.startswith("SASL") and not (self.username and self.password.get_secret_value()):
            msg = f"{self.security_protocol} needs kafka.username and kafka.password"
            raise ValueError(msg)
        return self


class RedisSettings(_Section):
    """Where the vector cache is and how it is laid out."""

    url: SecretStr = SecretStr("redis://localhost:6379/0")
    """``redis://`` or ``rediss://`` address; secret because it may hold a password."""
    cluster: bool = False
    """Speak to a Redis Cluster; an item's keys share a hash tag."""
    prefix: str = Field("crosscurrent", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    """Start of every key."""
    shards: int = Field(1, ge=1, le=1024)
    """Number of shards; an item lives in shard ``crc32(item_id) mod shards``, people by their own id. Once something is
    stored ``crosscurrent reshard`` changes it for items, and this stays: people lie so, and a lost Redis begins so."""
    quantisation: Literal["Q8", "NOQUANT", "BIN"] = "Q8"
    """How vector sets store vectors; exact re-scoring reads full precision beside them."""
    build_effort: int = Field(200, ge=10, le=10_000)
    """EF at insertion (VADD)."""
    search_effort: int = Field(200, ge=10, le=100_000)
    """EF at search (VSIM); raised when a filter leaves a page unfilled."""
    request_timeout_s: float = Field(5.0, gt=0, le=120)
    """Longest wait for one answer."""
    max_connections: int = Field(32, ge=1, le=4096)
    """Pool size of one worker."""
    item_cache_mb: int = Field(64, ge=0, le=65_536)
    """Items that a worker keeps to save their transfer, in mebibytes; each use is checked against Redis. 0 for none."""


class ModelSettings(_Section):
    """Which encoders run, and where."""

    profile: str = "builtin"
    """A profile that ships (``builtin``, ``clap``, ``clip-clap``, ``deterministic``, ``pe-av``,
    ``siglip2-clap``) or the path of a profile's YAML file."""
    heads: str | None = None
    """Alignment heads after the profile's encoders: a folder that ``crosscurrent train alignment`` wrote, or its name
    under ``heads_dir``."""
    heads_dir: Path = Path("alignments")
    """Where ``heads`` are looked up by name."""
    dimension_weights: Path | None = None
    """What each dimension counts in a ``weighted_cosine``: a file that ``crosscurrent train weights`` wrote. Heads
    and the built-in model bring their own, which this replaces."""
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")
    """Where the forward pass runs; ``auto`` takes a GPU when there is one."""
    threads: int = Field(0, ge=0, le=1024)
    """CPU threads of the forward pass; 0 means as many as the process may use."""
    max_batch: int = Field(64, ge=1, le=4096)
    """Most inputs in one forward pass; of small ones, such as texts, an encoder may take several times as many."""
    max_waiting: int = Field(1024, ge=1, le=1_000_000)
    """Inputs that may wait for the device before callers are held back."""


class MediaSettings(_Section):
    """What may be fetched, from where, and how large it may be: the defence of the machine and its network."""

    allow_http: bool = True
    """Fetch ``http(s)://`` addresses; private and loopback addresses are refused all the same."""
    allowed_private_hosts: tuple[str, ...] = ()
    """Host names that may be fetched although they resolve to a private address (an internal object store)."""
    allowed_folders: tuple[Path, ...] = ()
    """Folders under which ``file://`` may read; none by default."""
    max_bytes: int = Field(50 * 2**20, ge=1024)
    """Largest picture, sound or clip in bytes."""
    max_pixels: int = Field(50_000_000, ge=1024)
    """Largest picture in pixels, checked before it is decoded."""
    max_seconds: float = Field(600.0, gt=0)
    """How much of a sound or clip is decoded, in seconds."""
    fetch_timeout_s: float = Field(10.0, gt=0, le=300)
    """Longest time for one fetch, redirects included."""
    max_redirects: int = Field(3, ge=0, le=20)
    """Redirects followed; each target is checked like the first address."""
    video_frames: int = Field(8, ge=1, le=256)
    """Frames sampled evenly from a clip."""


class ContentSettings(_Section):
    """What is kept of an item beside its vectors, so that it can be summarised."""

    segments: bool = True
    """Keep passages, frames and stretches of sound with their places; each costs its words and a byte a dimension."""
    max_passages: int = Field(32, ge=1, le=256)
    """Most passages of a text; in longer texts short neighbouring sentences are joined."""
    max_frames: int = Field(8, ge=1, le=64)
    """Most frames of a clip, of the ``media.video_frames`` that are sampled."""
    max_stretches: int = Field(8, ge=1, le=64)
    """Most stretches of a sound: 6 s each, longer in sounds that have more than that."""


class DeliverySettings(_Section):
    """How events are taken, retried and finished."""

    batch_events: int = Field(64, ge=1, le=10_000)
    """Most events handled together."""
    batch_wait_ms: int = Field(10, ge=0, le=10_000)
    """Longest wait to fill a batch once its first event is there."""
    retry_initial_s: float = Field(0.2, gt=0, le=60)
    """First pause after transient trouble; doubles up to ``retry_max_s``, with jitter."""
    retry_max_s: float = Field(10.0, gt=0, le=600)
    """Longest pause between tries."""
    commit_interval_s: float = Field(1.0, gt=0, le=60)
    """How often finished offsets are committed."""
    stall_after_s: float = Field(60.0, gt=0, le=3600)
    """Lag without a commit for this long fails liveness, so the worker is restarted."""
    drain_timeout_s: float = Field(20.0, gt=0, le=600)
    """Time to finish what is in flight on SIGTERM."""
    letter_patience_s: float = Field(30.0, ge=0, le=600)
    """How long a dead letter is tried while the broker answers, at most half of ``stall_after_s``; then it goes to the
    log alone, so that a dead-letter topic that takes nothing never blocks the stream."""


class QuerySettings(_Section):
    """What a query gets when it does not say."""

    k: int = Field(10, ge=1, le=1000)
    """Hits returned."""
    max_k: int = Field(1000, ge=1, le=10_000)
    """Most hits (offset included) one query may ask for."""
    deadline_ms: int = Field(5000, ge=1, le=600_000)
    """Time from the query event's creation after which an error result is sent instead of an answer."""
    candidates: int = Field(100, ge=10, le=10_000)
    """Candidates taken from each vector set for each stretch of the list; a stretch has a quarter as many places."""
    similarity: Similarity = Similarity.COSINE
    """How vectors are compared."""
    strategy: FusionStrategy = FusionStrategy.WEIGHTED_MEAN
    """How modalities are fused."""
    weights: Mapping[Modality, float] = Field(default_factory=dict)
    """Weight of each item modality; 1 when not named."""
    missing: MissingRule = MissingRule.RENORMALISE
    """What a lacking modality does to a score."""
    ranking: RankingMethod = RankingMethod.TOP_K
    """How the list is made."""
    calibration_refresh_s: float = Field(300.0, ge=0)
    """How old the backgrounds of similarities may be before they are measured on the index again; 0 keeps the model's.
    Set it alike for all query workers."""
    diversity: float = Field(0.3, ge=0, le=1)
    """0 is score alone, 1 is variety alone; used by ``mmr`` and ``beam``."""
    beam_width: int = Field(8, ge=1, le=64)
    """Lists that ``beam`` keeps while searching."""
    rrf_k: float = Field(60.0, gt=0)
    """The constant of reciprocal rank fusion (Cormack, Clarke, Buettcher 2009)."""
    dbsf_deviations: float = Field(3.0, gt=0)
    """Distribution-based fusion: a list's mean less and plus this many standard deviations become 0 and 1."""
    chance_z: float = Field(3.0, ge=-100, le=100)
    """Standard deviations from its background at which a calibrated similarity is 0.5."""
    spread_z: float = Field(2.0, gt=0)
    """How slowly calibrated similarities leave 0.5 from there."""
    fusion_weights: str | None = None
    """Trained weights of ``attention``: a folder that ``crosscurrent train fusion`` wrote, or its name under
    ``fusion_weights_dir``; those that ship when absent."""
    fusion_weights_dir: Path = Path("fusions")
    """Where ``fusion_weights`` are looked up by name."""


_ACTION_WEIGHTS = {
    Action.IMPRESSION: 0.0,
    Action.VIEW: 0.5,
    Action.CLICK: 1.0,
    Action.LIKE: 3.0,
    Action.DISLIKE: -3.0,
    Action.SHARE: 4.0,
    Action.PURCHASE: 5.0,
    Action.RATE: 2.0,
    Action.COMMENT: 2.0,
}


_SHARES = {
    RecommendSignal.LONG: 0.1,
    RecommendSignal.SHORT: 0.2,
    RecommendSignal.SEQUENCE: 0.2,
    RecommendSignal.COVISITED: 0.4,
    RecommendSignal.TRENDS: 0.05,
    RecommendSignal.CONTENT: 0.05,
}


class PeopleSettings(_Section):
    """How behaviour becomes profiles, trends and co-visitation."""

    action_weights: Mapping[Action, float] = Field(default_factory=lambda: dict(_ACTION_WEIGHTS))
    """What each action adds to a profile; ``rate`` is scaled by its value around the middle of 1 to 5."""
    half_life_s: float = Field(7 * 86400.0, gt=0)
    """After this long an action counts half in a profile."""
    trend_half_life_s: float = Field(86400.0, gt=0)
    """The same for trends."""
    history: int = Field(200, ge=1, le=100_000)
    """Latest items remembered for each user: not recommended again, and the co-visitation window."""
    short_half_life_s: float = Field(600.0, gt=0)
    """After this long an action of the visit counts half in the short profile, counted back from the last one."""
    visit_timeout_s: float = Field(1800.0, gt=0)
    """A pause of this length ends a visit; its short profile then has no say any more."""
    shares: Mapping[RecommendSignal, float] = Field(default_factory=lambda: dict(_SHARES))
    """What part of a recommendation's score each signal decides, against the others that have something to say."""
    explore: float = Field(0.1, ge=0, le=1)
    """Share of a recommendation's places that go to what the user's behaviour does not speak for: every tenth."""
    explore_window_s: float = Field(3600.0, gt=0)
    """How long a user's explored items stay the same, so that pages fit together."""
    read_comments: bool = False
    """Turn a profile also towards what a comment's text says. The interaction worker then loads the text encoder with
    the first comment: seconds once, some 350 MB with the built-in profile, and about 2 ms of CPU a comment."""
    sequence_model: Path | None = None
    """Folder that ``crosscurrent train sequence`` wrote: what it expects next has a share in recommendations."""
    steps: int = Field(50, ge=1, le=1000)
    """Latest actions remembered for each user in order: the visit they are on, and what a sequence model reads."""
    remembered_events: int = Field(1000, ge=1, le=1_000_000)
    """Interaction ids remembered for each user, so that a replay counts nothing twice."""
    covisit_window_s: float = Field(1800.0, gt=0)
    """Two items touched by one user within this time are co-visited."""
    served_queries: int = Field(20, ge=0, le=10_000)
    """Latest answers remembered for each user, some 2 KB each, so that impressions and clicks can be joined to them; 0
    switches the joining off, and with it click-through, reciprocal rank and the learning of weights."""
    served_hits: int = Field(20, ge=1, le=1000)
    """How much of each answer is remembered, from its first hit."""
    served_ttl_s: float = Field(3600.0, gt=0)
    """How long answers are remembered after a user's last one."""
    learn_weights: bool = False
    """Let clicks move the weights of the modalities in searches, for each user and a little for everybody, between half
    and twice; a query that says its own weights is left alone. ``crosscurrent weights reset`` takes it all back."""
    weight_rate: float = Field(0.1, gt=0, le=10)
    """How far one click moves a user's weights."""
    forgotten_kept_s: float = Field(32 * 86400.0, gt=0)
    """How long it is kept, under a digest of the id, that a user was forgotten: longer than the interactions topic
    keeps events, whose replay must not bring the user back."""


class MetricsSettings(_Section):
    """The worker's own small web server: ``/metrics``, ``/live``, ``/ready``."""

    host: str = "127.0.0.1"
    """Address it listens on; ``0.0.0.0`` in a pod."""
    port: int = Field(9100, ge=0, le=65535)
    """Port it listens on; 0 picks a free one and logs it."""


class Settings(BaseSettings):
    """Every setting of a Crosscurrent process."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
    )

    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    media: MediaSettings = Field(default_factory=MediaSettings)
    content: ContentSettings = Field(default_factory=ContentSettings)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)
    query: QuerySettings = Field(default_factory=QuerySettings)
    people: PeopleSettings = Field(default_factory=PeopleSettings)
    tagging: TaggingSettings = Field(default_factory=TaggingSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe message that is logged."""
    log_format: Literal["text", "json"] = "text"
    """``json`` writes one object a line, for log collectors."""


def load_settings(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings once, from file and environment.

    Args:
        file: YAML file; the one named by ``CROSSCURRENT_CONFIG`` when omitted, and none if that is unset.
        overrides: Nested values that beat both file and environment (what a command line says).

    Raises:
        Misconfigured: With every problem found, none of which repeats a secret.
    """
    path = file or (Path(named) if (named := os.environ.get(CONFIG_FILE_VARIABLE)) else None)
    values = _read_yaml(path) if path else {}

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            *args: PydanticBaseSettingsSource,
            **sources: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            in_file = InitSettingsSource(settings_cls, init_kwargs=values)
            return sources["init_settings"], sources["env_settings"], in_file  # no dotenv file is ever looked for

    problems = _unknown_variables()
    try:
        settings = Layered(**(overrides or {}))
    except ValidationError as exc:
        problems += [f"{'.'.join(map(str, error['loc'])) or 'settings'}: {error['msg']}" for error in exc.errors()]
        raise Misconfigured(*problems) from None  # pydantic's own text would repeat the values, secrets among them
    if problems:
        raise Misconfigured(*problems)
    return settings


def _unknown_variables() -> list[str]:
    """Name the variables with our prefix that set nothing: pydantic-settings passes over them in silence."""
    known = {*Settings.model_fields, CONFIG_FILE_VARIABLE.removeprefix(ENV_PREFIX).lower(), "test"}
    ours = [name for name in os.environ if name.upper().startswith(ENV_PREFIX)]
    sections = {name: re.split(r"__|(?<=^TEST)_", name[len(ENV_PREFIX) :].upper())[0].lower() for name in ours}
    return [f"{name}: no such setting" for name, section in sections.items() if section not in known]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise Misconfigured(f"{path}: cannot be read ({exc.strerror})") from exc
    except yaml.YAMLError as exc:
        raise Misconfigured(f"{path}: not valid YAML: {exc}") from exc
    if not isinstance(read, dict | None):
        raise Misconfigured(f"{path}: the top level must be a mapping of sections such as kafka and redis")
    return read or {}
