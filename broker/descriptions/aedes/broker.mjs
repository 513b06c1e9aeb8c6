// Aedes behind Node's TLS server.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:tls'
import { Aedes } from '{{ needs.aedes }}/aedes.js'

const read = (...files) => files.map((file) => readFileSync(file))
const broker = await Aedes.createBroker()

broker.authenticate = (client, user, password, done) => {
  const known = user === '{{ user }}' && password?.toString() === '{{ password }}'
  // Without an error of ours: the return code is the one that Aedes itself has for a login that is refused.
  done(null, known)
}
const closed = (topic) => topic === '{{ forbidden }}' || topic.startsWith('{{ forbidden }}/')
broker.authorizePublish = (client, packet, done) =>
  done(closed(packet.topic) ? new Error('no permission') : null)
broker.authorizeSubscribe = (client, subscription, done) =>
  done(null, closed(subscription.topic) ? null : subscription)

const server = createServer(
  {
    cert: read('{{ certificate }}'{% if has_second %}, '{{ second_certificate }}'{% endif %}),
    key: read('{{ key }}'{% if has_second %}, '{{ second_key }}'{% endif %}),
    minVersion: '{{ "TLSv1.3" if only_1_3 else "TLSv1.2" }}',
    {%- if client_certificate %}
    ca: read('{{ client_ca }}'),
    requestCert: true,
    {%- endif %}
    {%- if sha1 %}
    // A certificate over SHA-1 is loaded from security level 0 only.
    ciphers: 'DEFAULT@SECLEVEL=0',
    {%- endif %}
  },
  broker.handle,
)
server.on('tlsClientError', (error) => console.log(`TLS: ${error.message}`))
server.listen({{ port }}, '{{ address }}', () => console.log('listening'))
process.on('SIGTERM', () => process.exit(0))
