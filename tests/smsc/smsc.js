// The lab's message centre: SMPP by the package `smpp` on one side, the simulated modem on the other.
//
// node smsc.js SOCKET PORT SYSTEM_ID PASSWORD
//
// SOCKET is a UNIX socket of the lab's, one JSON object a line. To it: {"submit": {to, udhi, data}} for each message
// to the modem, {"bound": true} when somebody has bound. From it: {"deliver": {from, udhi, data}} for one from the
// modem, {"throttle": N} to refuse the next N submits with ESME_RTHROTTLED. Data is in hexadecimal, header and all.
'use strict';

const net = require('net');
const smpp = require('smpp');

const [socket, port, systemId, password] = process.argv.slice(2);
const lab = net.connect(socket);
const sessions = new Set();
const waiting = [];
let throttle = 0;
let messages = 0;
let reference = 0;

function tell(line) {
  lab.write(JSON.stringify(line) + '\n');
}

// Octets of a message, whatever the library has made of it.
function octets(value) {
  if (Buffer.isBuffer(value)) return value;
  if (Array.isArray(value)) {
    const elements = Buffer.concat(value);
    return Buffer.concat([Buffer.from([elements.length]), elements]);
  }
  return Buffer.from(value || '', 'latin1');
}

// The message in parts as they go over the air.
function parts(pdu) {
  if (pdu.message_payload) {
    const whole = octets(pdu.message_payload.message || pdu.message_payload);
    const total = Math.ceil(whole.length / 134);
    reference = (reference + 1) % 256;
    return Array.from({ length: total }, (_, at) => Buffer.concat([
      Buffer.from([5, 0, 3, reference, total, at + 1]), whole.subarray(at * 134, (at + 1) * 134)]));
  }
  const message = octets(pdu.short_message.message);
  if (pdu.sar_total_segments) {
    const header = [5, 0, 3, pdu.sar_msg_ref_num & 255, pdu.sar_total_segments, pdu.sar_segment_seqnum];
    return [Buffer.concat([Buffer.from(header), message])];
  }
  return [pdu.short_message.udh ? Buffer.concat([octets(pdu.short_message.udh), message]) : message];
}

const server = smpp.createServer((session) => {
  session.on('error', () => session.destroy());
  session.on('close', () => sessions.delete(session));
  session.on('bind_transceiver', (pdu) => {
    const welcome = pdu.system_id === systemId && pdu.password === password && pdu.interface_version === 0x34;
    if (!welcome) {
      session.send(pdu.response({ command_status: smpp.ESME_RBINDFAIL }));
      return session.close();
    }
    session.send(pdu.response({ system_id: 'lab' }));
    sessions.add(session);
    tell({ bound: true });
    waiting.splice(0).forEach(deliver);
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
  session.on('submit_sm', (pdu) => {
    if (!sessions.has(session)) return session.send(pdu.response({ command_status: smpp.ESME_RINVBNDSTS }));
    if (throttle > 0) {
      throttle -= 1;
      return session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    }
    messages += 1;
    const id = messages.toString(16).padStart(8, '0');
    session.send(pdu.response({ message_id: id }));
    const several = Boolean(pdu.message_payload || pdu.sar_total_segments);
    for (const data of parts(pdu)) {
      const udhi = Boolean(pdu.esm_class & 0x40) || several;
      tell({ submit: { to: pdu.destination_addr, udhi, data: data.toString('hex') } });
    }
    if (pdu.registered_delivery & 1) {
      const text = `id:${id} sub:001 dlvrd:001 submit date:2611281200 done date:2611281200 stat:DELIVRD err:000 text:`;
      session.deliver_sm({ esm_class: 4, source_addr: pdu.destination_addr, short_message: text });
    }
  });
});

function deliver({ from, udhi, data }) {
  const session = sessions.values().next().value;
  if (!session) return waiting.push({ from, udhi, data });
  session.deliver_sm({
    source_addr_ton: 1,
    source_addr_npi: 1,
    source_addr: from,
    esm_class: udhi ? 0x40 : 0,
    data_coding: 4,
    short_message: Buffer.from(data, 'hex'),
  });
}

let rest = '';
lab.on('data', (octets) => {
  const lines = (rest + octets).split('\n');
  rest = lines.pop();
  for (const line of lines) {
    const order = JSON.parse(line);
    if (order.deliver) deliver(order.deliver);
    if (order.throttle) throttle = order.throttle;
  }
});
// The lab has ended.
lab.on('close', () => process.exit(0));
lab.on('error', () => process.exit(1));
server.listen(Number(port), '127.0.0.1');
