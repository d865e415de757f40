// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns TLS on a connection to the relay: the handshake, the peer's verification, and what is said when it fails.
// Invariant: no byte of gRPC is sent before the peer has been verified. Node's own verdict is only asked for, not
// enforced (`rejectUnauthorized`), because it is wrong for KubeArmor's certificates; peerProblem() enforces.

import type { Socket } from "node:net";
import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import type { Clock } from "../../lib/clock.ts";
import { explainTlsError } from "./errors.ts";
import type { TlsMaterial } from "./material.ts";
import { peerProblem, type ShownCertificate } from "./peer.ts";

/** Credentials of one connection; make new ones for the next. */
export class TlsCredentials {
  readonly #material: TlsMaterial;
  readonly #host: string;
  readonly #clock: Clock;
  #problem: string | undefined;
  #isVerified = false;

  /** `host` is the name or IP address that the peer's certificate must be for. */
  constructor(material: TlsMaterial, host: string, clock: Clock) {
    this.#material = material;
    this.#host = host;
    this.#clock = clock;
  }

  /** Why there is no connection, where TLS is the reason. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Whether the peer has been verified; what it thinks of us, it says only afterwards. */
  get isVerified(): boolean {
    return this.#isVerified;
  }

  /** Does the handshake on a new connection; rejects where there is none with this peer. */
  secure(socket: Socket): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const secured = connect({
        socket,
        secureContext: this.#material.context,
        ALPNProtocols: ["h2"],
        // An IP address is no server name (RFC 6066, 3).
        ...(isIP(this.#host) ? {} : { servername: this.#host }),
        rejectUnauthorized: false,
        // The verdict on the chain alone; the name is judged with the rest.
        checkServerIdentity: () => undefined,
      });
      // Also after the handshake: with TLS 1.3 a peer refuses our certificate only then.
      secured.on("error", (error) => {
        this.#problem ??= explainTlsError(error);
        reject(error);
      });
      secured.once("close", () => reject(new Error("the connection was closed during the TLS handshake")));
      secured.once("secureConnect", () => {
        this.#problem = this.#judge(secured);
        if (this.#problem === undefined) {
          this.#isVerified = true;
          resolve(secured);
          return;
        }
        secured.destroy();
        reject(new Error(this.#problem));
      });
    });
  }

  #judge(secured: TLSSocket): string | undefined {
    const shown = shownCertificate(secured);
    if (shown === undefined) return "the relay showed no certificate";
    const problem = peerProblem(shown, {
      host: this.#host,
      authorities: this.#material.authorities,
      caName: this.#material.caName,
      nowMs: this.#clock.nowMs(),
    });
    if (problem !== undefined) return problem;
    return secured.alpnProtocol === "h2"
      ? undefined
      : "the peer speaks TLS but no gRPC (ALPN without h2): is this the address of KubeArmor or its relay?";
  }
}

function shownCertificate(secured: TLSSocket): ShownCertificate | undefined {
  const leaf = secured.getPeerX509Certificate();
  if (leaf === undefined) return undefined;
  // A code, whatever its type says; anything that is neither true nor a code must not pass for good.
  const code: unknown = secured.authorizationError;
  return { leaf, openSslError: secured.authorized ? undefined : String(code ?? "not authorized") };
}
