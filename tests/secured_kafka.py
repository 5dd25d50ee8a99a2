"""Apache Kafka as a company runs it: SCRAM over TLS by an authority of its own, and nobody may what no rule allows."""

import subprocess
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    UserScramCredentialUpsertion,
)

from workers.contracts.rights import Right
from workers.operate.children import Child, free_port
from workers.operate.kafka_home import KafkaHome
from workers.operate.server import broker_answers

T = TypeVar("T")

STORE_PASSWORD: Final = "changeit"  # noqa: S105 - of key stores that live as long as a test
_START_TIMEOUT_S: Final = 120.0
_SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
listeners=OPEN://127.0.0.1:{open},SECURE://127.0.0.1:{secure},TLS://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=OPEN://127.0.0.1:{open},SECURE://localhost:{secure},TLS://localhost:{tls}
listener.security.protocol.map=OPEN:PLAINTEXT,SECURE:SASL_SSL,TLS:SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=OPEN
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={folder}/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config={scram}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.location={folder}/broker.p12
ssl.keystore.password={store_password}
ssl.keystore.type=PKCS12
"""


class SecuredKafka:
    """One KRaft node; a context manager. Tests set it up by a port that asks nothing; users come by SCRAM and TLS.

    Args:
        home: What runs it.
        folder: Where its data, log and certificates go. The certificate is for ``localhost`` alone.
        users: Who is known, each with a password.
    """

    def __init__(self, home: KafkaHome, folder: Path, users: Mapping[str, str]) -> None:
        self._folder = folder
        self._users = users
        self._java = [str(home.java), "-Xmx384m", "-XX:+UseSerialGC", "-cp", f"{home.libs}/*"]
        self._keytool = str(home.java.resolve().parent / "keytool")
        self._ports = {name: free_port() for name in ("open", "secure", "tls", "controller")}

    def at(self, listener: str, host: str = "localhost") -> str:
        """Address of its ``open``, ``secure`` or ``tls`` port."""
        return f"{host}:{self._ports[listener]}"

    @property
    def authority(self) -> Path:
        """Certificate of who signed the broker's."""
        return self._folder / "authority.pem"

    @property
    def stranger(self) -> Path:
        """Certificate of another authority."""
        return self._folder / "stranger.pem"

    def settings(self, user: str, prefix: str) -> dict[str, Any]:
        """The ``kafka`` section of somebody's settings."""
        return {
            "bootstrap_servers": self.at("secure"),
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "username": user,
            "password": self._users[user],
            "ca_file": str(self.authority),
            "topic_prefix": prefix,
            "partitions": 2,
        }

    def allow(self, user: str, rights: Iterable[Right]) -> None:
        """Give a user exactly these."""
        for right in rights:
            self.permit(user, right.operation, right.kind, right.name)

    def permit(self, user: str, operation: str, kind: str, name: str, *, prefixed: bool = False) -> None:
        """Give a user one operation on a thing, or on all things whose name begins so."""
        pattern = ACLResourcePatternType.PREFIXED if prefixed else ACLResourcePatternType.LITERAL
        thing = ResourcePattern(ResourceType[kind.upper()], name, pattern)
        rule = ACL(f"User:{user}", "*", ACLOperation[operation.upper()], ACLPermissionType.ALLOW, thing)
        self._as_operator(lambda admin: admin.create_acls([rule]))

    def change_password(self, user: str, password: str) -> None:
        """Let a user be known by another password."""
        change = UserScramCredentialUpsertion(user, "SCRAM-SHA-512", password)
        self._as_operator(lambda admin: admin.alter_user_scram_credentials([change]))

    def _as_operator(self, work: Callable[[KafkaAdminClient], T]) -> T:
        admin = KafkaAdminClient(bootstrap_servers=[self.at("open", "127.0.0.1")])
        try:
            return work(admin)
        finally:
            admin.close()

    def __enter__(self) -> Self:
        self._certify()
        properties = self._folder / "server.properties"
        words = {"folder": self._folder, "scram": _SCRAM, "store_password": STORE_PASSWORD}
        properties.write_text(_PROPERTIES.format(**self._ports, **words))
        known = [f"SCRAM-SHA-512=[name={user},password={password}]" for user, password in self._users.items()]
        users = [word for one in known for word in ("--add-scram", one)]
        storage = ["kafka.tools.StorageTool", "format", "-t", uuid.uuid4().hex[:22], "-c", str(properties), *users]
        subprocess.run([*self._java, *storage], check=True, capture_output=True)
        self._start()
        return self

    def restart(self) -> None:
        """Stop it and start it again on its data: every connection is lost."""
        self._child.stop(grace_s=60.0)
        self._start()

    def _start(self) -> None:
        command = [*self._java, "kafka.Kafka", str(self._folder / "server.properties")]
        self._child = Child("Apache Kafka", command, self._folder / "kafka.log")
        self._child.wait_until(lambda: broker_answers(self._ports["open"]), timeout_s=_START_TIMEOUT_S)

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    def _certify(self) -> None:
        self._authority("authority", self.authority)
        self._authority("stranger", self.stranger)
        store = self._folder / "authority.p12"
        host = ["-dname", "CN=localhost", "-ext", "san=dns:localhost"]
        self._run_keytool(store, "-genkeypair", "-alias", "broker", "-keyalg", "RSA", "-signer", "authority", *host)
        # The broker's own store holds its key alone: of two it might show the authority's.
        aside = ["-srcstorepass", STORE_PASSWORD, "-srckeystore", str(store), "-srcalias", "broker"]
        self._run_keytool(self._folder / "broker.p12", "-importkeystore", *aside)

    def _authority(self, name: str, certificate: Path) -> None:
        store = self._folder / f"{name}.p12"
        words = ["-alias", name, "-keyalg", "RSA", "-dname", f"CN={name}", "-ext", "bc:c"]
        self._run_keytool(store, "-genkeypair", *words)
        certificate.write_text(self._run_keytool(store, "-exportcert", "-rfc", "-alias", name))

    def _run_keytool(self, store: Path, *words: str) -> str:
        to = "-dest" if words[0] == "-importkeystore" else "-"
        place = [f"{to}keystore", str(store), f"{to}storepass", STORE_PASSWORD]
        done = subprocess.run([self._keytool, *words, *place], check=True, capture_output=True, text=True)
        return done.stdout
