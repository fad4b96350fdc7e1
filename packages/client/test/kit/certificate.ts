import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** A certificate with its private key, as node:tls takes them. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

interface Issuer {
  readonly name: Buffer
  readonly key: KeyObject
}

const ECDSA_WITH_SHA256 = '06082a8648ce3d040302'
const COMMON_NAME = '0603550403'
const BASIC_CONSTRAINTS = '0603551d13'
const SUBJECT_ALTERNATIVE_NAME = '0603551d11'

/** A certificate authority that lives as long as a test does (X.509 version 3, RFC 5280, on the curve P-256). */
export class Authority {
  /** Certificate that those who trust this authority are given. */
  readonly cert: string
  readonly #issuer: Issuer

  constructor(commonName: string) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#issuer = { name: nameOf(commonName), key: privateKey }
    const isAuthority = element(0x30, hex(BASIC_CONSTRAINTS), element(0x04, element(0x30, hex('0101ff'))))
    this.cert = certificate(this.#issuer, this.#issuer.name, publicKey, isAuthority)
  }

  /** A certificate for a DNS name, or for the address 127.0.0.1. */
  issue(subject: { readonly dns: string } | 'loopback'): Certificate {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const alternative =
      subject === 'loopback' ? element(0x87, Buffer.of(127, 0, 0, 1)) : element(0x82, Buffer.from(subject.dns))
    const names = element(0x30, hex(SUBJECT_ALTERNATIVE_NAME), element(0x04, element(0x30, alternative)))
    return {
      cert: certificate(this.#issuer, nameOf('test'), publicKey, names),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    }
  }
}

function certificate(issuer: Issuer, subject: Buffer, publicKey: KeyObject, extension: Buffer): string {
  const algorithm = element(0x30, hex(ECDSA_WITH_SHA256))
  const toBeSigned = element(
    0x30,
    element(0xa0, hex('020102')),
    element(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    algorithm,
    issuer.name,
    // UTCTime counts from 1950 to 2049.
    element(0x30, element(0x17, Buffer.from('240101000000Z')), element(0x17, Buffer.from('491231235959Z'))),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, element(0x30, extension)),
  )
  const signature = sign('sha256', toBeSigned, issuer.key)
  const bytes = element(0x30, toBeSigned, algorithm, element(0x03, Buffer.of(0), signature))
  return `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
}

function nameOf(commonName: string): Buffer {
  return element(0x30, element(0x31, element(0x30, hex(COMMON_NAME), element(0x0c, Buffer.from(commonName)))))
}

/** One element of DER: tag, length, content. */
function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  const { length } = body
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...size), body])
}

function hex(digits: string): Buffer {
  return Buffer.from(digits, 'hex')
}
