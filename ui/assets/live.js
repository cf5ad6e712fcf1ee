// Makes pages quicker than they are without it; every page works when this file never arrives.
//
// Live stream: <body data-live="/live?topics=a,b" data-live-from="17">. Events of the server, each with an `id`:
//   fragment  HTML; each element in it replaces the element of the page with the same id
//   toast     HTML of a message that leaves by itself
//   reload    what is on the page can no longer be brought up to date by fragments: fetch it again
//   beat      nothing but a sign of life, at least every 5 s
// After a break the stream goes on behind the last id (header Last-Event-ID, or `after` in the query). Where no stream comes through,
// /live/poll is asked for the same events.
"use strict";
(() => {
  const { body, documentElement: root } = document;
  const $ = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const parse = (html) => new DOMParser().parseFromString(html, "text/html");
  const lang = root.lang || "bn";
  const digits = (text) => (lang === "bn" ? text.replace(/\d/g, (d) => "০১২৩৪৫৬৭৮৯"[d]) : text);

  // --- time: the farm's clock may be another than the phone's, and faster
  const loaded = Date.now();
  const now = () => (+root.dataset.now || loaded) + (Date.now() - loaded) * (+root.dataset.rate || 1);
  const relative = new Intl.RelativeTimeFormat(lang, { numeric: "always" });
  const tick = () => {
    for (const el of all("[data-ago]")) {
      const s = Math.round((now() - el.dataset.ago) / 1000), a = Math.abs(s);
      if (a < 10) continue;
      const [n, unit] = a < 60 ? [s, "second"] : a < 3600 ? [s / 60, "minute"] : a < 86400 ? [s / 3600, "hour"] : [s / 86400, "day"];
      const text = relative.format(-Math.trunc(n), unit).replace("পূর্বে", "আগে"); // as the server says it
      if (el.textContent !== text) el.textContent = text;
    }
  };

  // --- swapping parts of the page, keeping the focus, what is being typed and what is unfolded
  const typing = (el) => el.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  const swap = (fresh, force) => {
    const old = fresh.id && document.getElementById(fresh.id);
    if (!old || (!force && typing(old))) return;
    const focus = old.contains(document.activeElement) ? document.activeElement : null;
    const again = focus && (focus.id ? "#" + CSS.escape(focus.id) : focus.name ? `[name="${CSS.escape(focus.name)}"]` : `${focus.localName}[href="${CSS.escape(focus.getAttribute("href") || "")}"]`);
    const caret = focus && "selectionStart" in focus ? focus.selectionStart : null;
    const open = new Map(all("details", old).map((d, i) => [d.id || i, d.open]));
    const el = document.importNode(fresh, true);
    old.replaceWith(el);
    all("details", el).forEach((d, i) => { if (open.get(d.id || i)) d.open = true; });
    if (again) {
      const target = el.matches(again) ? el : $(again, el);
      target?.focus({ preventScroll: true });
      try { if (caret !== null) target.setSelectionRange(caret, caret); } catch { /* not a text field */ }
    }
    prepare(el);
  };
  const toast = (nodes) => {
    for (const el of nodes) {
      $("#toasts").append(el);
      setTimeout(() => el.remove(), 6000);
    }
  };

  // --- alarms: a sound as long as the page shows one that nobody has muted
  const muted = new Set(JSON.parse(sessionStorage.muted || "[]"));
  const said = new Set();
  let audio;
  const alarms = () => all("[data-alarm]").map((el) => el.dataset.alarm);
  const ringing = () => alarms().some((key) => !muted.has(key));
  const ready = () => audio?.state === "running";
  const beep = () => {
    if (!ready() || !ringing()) return;
    [880, 660, 880].forEach((pitch, i) => {
      const at = audio.currentTime + i * 0.22, tone = audio.createOscillator(), gain = audio.createGain();
      tone.type = "square";
      tone.frequency.value = pitch;
      gain.gain.setValueAtTime(0.25, at);
      gain.gain.exponentialRampToValueAtTime(0.001, at + 0.2);
      tone.connect(gain).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 0.2);
    });
    navigator.vibrate?.([200, 100, 200]);
  };
  const wake = () => {
    audio ??= window.AudioContext && new AudioContext();
    audio?.resume().then(alarm);
  };
  const alarm = () => {
    const keys = alarms(), button = $("#sound");
    for (const key of muted) if (!keys.includes(key)) muted.delete(key); // an alarm that comes back sounds again
    for (const key of said) if (!keys.includes(key)) said.delete(key);
    sessionStorage.muted = JSON.stringify([...muted]);
    const fresh = keys.filter((key) => !said.has(key));
    if (fresh.length) {
      fresh.forEach((key) => said.add(key));
      $("#announce").textContent = fresh.map((key) => $(`[data-alarm="${CSS.escape(key)}"]`).innerText).join(". ");
      beep();
    }
    if (!button) return;
    button.hidden = !ringing() && (ready() || !$(".parlour-grid"));
    button.classList.toggle("ringing", ringing());
    $("span", button).textContent = ready() && ringing() ? button.dataset.off : button.dataset.on;
  };

  // --- the live stream
  const sign = $("#connection");
  let stream, last = +body.dataset.liveFrom || 0, heard = Date.now(), heardAt = now(), wait = 0;
  let deaf = 0, patience = 12000; // silences in a row; how long silence is no bad sign
  const state = (name) => {
    if (!sign || sign.dataset.state === name) return;
    sign.dataset.state = name;
    sign.className = "connection " + name;
    const at = new Date(heardAt).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: root.dataset.zone || undefined });
    sign.textContent = name === "on" ? sign.dataset.liveText : name === "wait" ? sign.dataset.waitText : sign.dataset.offText.replace("{}", digits(at));
  };
  const acts = {
    toast: (html) => toast(parse(html).body.children),
    reload: () => { if (!halfTyped()) location.reload(); },
    fragment: (html) => {
      for (const el of [...parse(html).body.children]) swap(el);
      tick();
      alarm();
    },
  };
  const alive = () => {
    heard = Date.now();
    heardAt = now();
    wait = 0;
    state("on");
  };
  const address = (below) => {
    const url = new URL(body.dataset.live, location);
    url.pathname += below;
    url.searchParams.set("after", last);
    return url;
  };
  const refused = async () => { // perhaps the session has ended, and the page itself leads to the log-in
    const answer = await fetch(location.href).catch(() => null);
    if (answer?.redirected) location.assign(answer.url);
  };
  const listen = () => {
    if (!body.dataset.live || document.hidden) return;
    stream?.close();
    if (deaf > 1) return poll();
    patience = 12000;
    stream = new EventSource(address(""));
    stream.addEventListener("open", alive);
    stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) refused(); };
    for (const name of ["beat", ...Object.keys(acts)]) stream.addEventListener(name, (event) => {
      if (event.lastEventId) last = event.lastEventId;
      deaf = 0;
      alive();
      acts[name]?.(event.data);
    });
  };
  // A proxy that holds streams back lets answers through.
  const poll = async () => {
    const ended = new AbortController(), { signal } = ended;
    stream = { close: () => ended.abort() };
    patience = 30000;
    try {
      while (!signal.aborted) {
        const answer = await fetch(address("/poll"), { headers: { accept: "application/json" }, signal });
        if (answer.status === 401 || answer.status === 403) return refused();
        const { after, events } = await answer.json();
        for (const { event, data } of events) acts[event]?.(data);
        last = after;
        alive();
      }
    } catch {
      if (!signal.aborted) { deaf = 0; patience = 12000; } // nothing comes through at all: a stream again
    }
  };
  const watch = () => {
    if (!body.dataset.live || document.hidden) return;
    const silent = Date.now() - heard;
    if (silent > patience) state("off");
    if (silent > patience + wait) { // ask again after 0, 2, 4 … 30 s: a dead connection may look open for minutes
      wait = Math.min(wait + 2000, 30000) + (wait ? silent - patience - wait : 0);
      deaf++;
      listen();
    }
  };

  // --- forms that answer in place: <form data-enhance="#part"> takes that part of the answer
  const send = async (form, submitter) => {
    const data = new URLSearchParams(new FormData(form, submitter));
    const get = form.method === "get";
    const url = new URL(submitter?.formAction || form.action, location);
    if (get) url.search = data;
    form.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(url, get ? {} : { method: "POST", body: data });
      const page = parse(await answer.text());
      const part = $(form.dataset.enhance, page);
      if (!part) return location.assign(answer.url);
      swap(part, true);
      const flash = $("#flash", page);
      if (flash && !get) swap(flash, true);
      if (!form.closest("dialog")) history.replaceState(null, "", answer.url);
      if (!("instant" in form.dataset)) form.closest("dialog:modal")?.close();
      alarm();
    } catch {
      failed();
    } finally {
      form.removeAttribute("aria-busy");
    }
  };
  const failed = () => {
    const message = document.createElement("div");
    message.className = "toast bad";
    message.setAttribute("role", "alert");
    message.textContent = body.dataset.failText;
    toast([message]);
  };

  // --- forms that change something: what was typed stays on the page until the answer has come. A form with `data-once` holds
  // its own identity, so that it may be sent until it arrives; another is sent again by whoever typed it.
  const unsent = new Map(); // form -> timer of the next try
  const post = async (form, submitter) => {
    if (!form.isConnected || form.hasAttribute("aria-busy")) return;
    clearTimeout(unsent.get(form));
    const data = new URLSearchParams(new FormData(form, submitter));
    const url = new URL(submitter?.getAttribute("formaction") ?? form.getAttribute("action") ?? "", location);
    form.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(url, { method: "POST", body: data, signal: AbortSignal.timeout(15000) });
      const page = answer.redirected || parse(await answer.text());
      if (answer.status >= 500) return keep(form, submitter, why(page) || body.dataset.busyText);
      unsent.delete(form);
      if (answer.redirected) location.assign(answer.url);
      else answered(page, answer.url);
    } catch {
      keep(form, submitter, body.dataset.awayText);
    } finally {
      form.removeAttribute("aria-busy");
    }
  };
  // What the page says that came instead; one that a proxy made says nothing we know.
  const why = (page) => {
    const words = all("main > .empty :is(h1, p)", page).map((el) => el.textContent.trim()).slice(0, 2).join(" ");
    return words && `${words} ${body.dataset.hereText}`;
  };
  const keep = (form, submitter, what) => {
    const once = "once" in form.dataset, { dataset } = body;
    let note = $(".unsent", form);
    if (!note) {
      note = $("#unsent").content.firstElementChild.cloneNode(true);
      const button = submitter ?? $("button[type=submit]", form);
      if (button) (button.closest(".actions") ?? button).before(note);
      else form.prepend(note);
      $("button", note).addEventListener("click", () => post(form, submitter));
      note.scrollIntoView({ block: "center" });
    }
    const text = `${what} ${once ? dataset.onceText : dataset.lookText}`, told = $("p", note);
    if (told.textContent !== text) told.textContent = text;
    unsent.set(form, once && setTimeout(post, 5000, form, submitter));
  };
  const answered = (page, url) => {
    const main = $("#main", page);
    if (!main) return location.assign(url);
    const el = document.importNode(main, true);
    document.title = page.title;
    body.className = page.body.className;
    $("#main").replaceWith(el);
    for (const old of all("script", el)) old.replaceWith(Object.assign(document.createElement("script"), { src: old.src }));
    prepare(el);
    alarm();
    scrollTo(0, 0);
    ($("[aria-invalid=true]", el) ?? el).focus();
  };
  // Whether somebody has typed what is not sent yet.
  const halfTyped = () => unsent.size > 0 || all("#main form[data-typed]").length > 0;

  // --- files: <form data-upload="#part #part"> shows how much has been sent; what is refused comes back in those parts
  const upload = (form) => {
    const request = new XMLHttpRequest(), bar = $("progress", form);
    const done = () => { bar.hidden = true; form.removeAttribute("aria-busy"); };
    request.upload.onprogress = (event) => { bar.hidden = false; bar.value = 1000 * event.loaded / event.total; };
    request.onload = () => {
      const page = parse(request.responseText), parts = form.dataset.upload.split(" ").map((part) => $(part, page));
      if (request.status < 400 || parts.includes(null)) return location.assign(request.responseURL);
      done();
      for (const part of parts) swap(part, true);
    };
    request.onerror = () => { done(); failed(); };
    form.setAttribute("aria-busy", "true");
    request.open("POST", form.action);
    request.send(new FormData(form));
  };
  let typed;

  // --- dialogs, the palette, keys, theme
  const show = (dialog) => { if (dialog && !dialog.open) dialog.showModal(); };
  const palette = async () => {
    const overlay = $("#overlay");
    if (overlay.open) return;
    const page = parse(await (await fetch(body.dataset.search)).text());
    overlay.replaceChildren(...["#palette", "#results"].map((id) => document.importNode($(id, page), true)));
    show(overlay);
    $("input", overlay).focus();
  };
  const press = (key) => {
    const pad = key.closest("[data-keypad]"), input = document.getElementById(pad.dataset.keypad), name = key.dataset.key;
    const letter = input.type === "password" ? name : key.textContent;
    input.value = name === "clear" ? "" : name === "back" ? input.value.slice(0, -1) : input.value + letter;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    navigator.vibrate?.(10);
  };
  const retheme = (button) => {
    const order = ["auto", "dark", "light"], icons = ["contrast", "moon", "sun"], chosen = order.indexOf(button.value);
    fetch(button.form.action, { method: "POST", redirect: "manual", body: new URLSearchParams(new FormData(button.form, button)) });
    root.dataset.theme = button.value;
    for (const each of all("[data-theme-switch]")) {
      each.value = order[(chosen + 1) % 3];
      const use = $("use", each);
      use.setAttribute("href", use.getAttribute("href").replace(/#.*/, "#" + icons[chosen]));
    }
  };

  // --- copying; a page that came over plain HTTP has no clipboard, but a selection can still be copied
  const copy = async (button) => {
    const text = document.getElementById(button.dataset.copy);
    try {
      if (navigator.clipboard) {
        await navigator.clipboard.writeText(text.textContent);
      } else {
        getSelection().selectAllChildren(text);
        if (!document.execCommand("copy")) return;
      }
      $("span", button).textContent = button.dataset.done;
    } catch {
      getSelection().selectAllChildren(text);
    }
  };

  // --- charts: the reading under the finger
  const point = (rect) => {
    const figure = rect.closest(".chart"), title = $("title", rect);
    if (title) { rect.dataset.text = title.textContent; title.remove(); }
    const tip = $(".tip", figure) || figure.appendChild(Object.assign(document.createElement("div"), { className: "tip" }));
    tip.textContent = rect.dataset.text;
    const frame = figure.getBoundingClientRect(), box = rect.getBoundingClientRect();
    const middle = box.left + box.width / 2 - frame.left;
    tip.style.left = Math.max(0, Math.min(frame.width - tip.offsetWidth, middle > frame.width / 2 ? middle - tip.offsetWidth - 12 : middle + 12)) + "px";
    tip.style.top = rect.ownerSVGElement.getBoundingClientRect().top - frame.top + "px";
  };

  // --- dates: a browser shows them in its own language and order, whatever the page's; below stands what it means
  const spell = (input) => {
    let out = input.nextElementSibling;
    if (!out?.matches(".said")) input.after(out = Object.assign(document.createElement("output"), { className: "said" }));
    const [day, time] = input.type === "time" ? ["", input.value] : input.value.split("T");
    const form = new Intl.DateTimeFormat(lang === "bn" ? "bn" : "en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
    const part = day && Object.fromEntries(form.formatToParts(new Date(day)).map(({ type, value }) => [type, value.replace(/ারী$/, "ারি")])); // as the server spells it
    out.textContent = [part && `${part.weekday}, ${part.day} ${part.month} ${part.year}`, time && digits(time)].filter(Boolean).join(", ");
  };
  const DATES = "input:is([type=date], [type=time], [type=datetime-local])";

  const prepare = (from) => {
    all(DATES, from).forEach(spell);
    for (const button of all("[data-copy]", from)) button.hidden = false;
    for (const here of all("[data-here]", from)) { here.hidden = false; $("code", here).textContent = location.href; }
    for (const pad of all("[data-keypad]", from)) {
      pad.hidden = false;
      // The phone's own keyboard would cover these keys.
      if (matchMedia("(pointer: coarse)").matches) document.getElementById(pad.dataset.keypad).inputMode = "none";
    }
  };
  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest?.(selector);
    const opener = hit("[data-opens]"), closer = hit("[data-closes]"), key = hit("[data-key]"), theme = hit("[data-theme-switch]");
    if (opener) { event.preventDefault(); show(document.getElementById(opener.dataset.opens)); }
    else if (closer?.closest("dialog:modal")) { event.preventDefault(); closer.closest("dialog").close(); }
    else if (event.target.matches("dialog:modal") && !event.target.matches(".must-answer")) event.target.close();
    else if (hit("[data-palette]") && !event.ctrlKey && !event.metaKey) { event.preventDefault(); palette(); }
    else if (key) press(key);
    else if (hit("[data-copy]")) copy(hit("[data-copy]"));
    else if (theme) { event.preventDefault(); retheme(theme); }
    else if (hit("#sound")) { if (ready()) alarms().forEach((k) => muted.add(k)); wake(); alarm(); }
    for (const menu of all(".user[open], .more details[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("submit", (event) => {
    if ("upload" in event.target.dataset) { event.preventDefault(); return upload(event.target); }
    if (event.defaultPrevented) return;
    if (event.target.dataset.enhance) { event.preventDefault(); return send(event.target, event.submitter); }
    if (event.target.getAttribute("method") !== "post" || !event.target.closest("#main")) return;
    event.preventDefault();
    post(event.target, event.submitter);
  });
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (event.target.matches(DATES)) spell(event.target);
    if (form?.getAttribute("method") === "post") form.dataset.typed = "";
    if (!form || !("instant" in form.dataset)) return;
    clearTimeout(typed);
    typed = setTimeout(() => send(form), 150);
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "k" && body.dataset.search) { event.preventDefault(); palette(); }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const stops = step && event.target.closest("#overlay") ? all("#overlay input, #overlay li a") : [];
    if (stops.length) { event.preventDefault(); stops[Math.max(0, stops.indexOf(event.target) + step)]?.focus(); }
    if (event.key === "Escape") for (const menu of all(".user[open], .more details[open]")) menu.open = false;
  });
  document.addEventListener("pointerover", (event) => {
    if (event.target.matches?.(".reading")) point(event.target);
    else for (const tip of all(".tip")) if (!tip.parentNode.contains(event.target)) tip.remove();
  });
  for (const gesture of ["pointerup", "keydown"]) document.addEventListener(gesture, () => { if (sign && !ready()) wake(); });
  document.addEventListener("visibilitychange", () => { if (document.hidden) stream?.close(); else { heard = Date.now(); wait = 0; listen(); } });
  addEventListener("online", () => { listen(); for (const [form, timer] of unsent) if (timer) $(".unsent button", form)?.click(); });
  addEventListener("beforeunload", (event) => { if (unsent.size) event.preventDefault(); });
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });

  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.localName === "dialog") { history.replaceState(null, "", location.pathname + location.search); show(target); }
  prepare(document);
  if ($(".parlour-grid")) wake(); // a browser that has been touched on the page before allows it at once
  if (sign) { state("wait"); alarm(); setInterval(beep, 2500); setInterval(watch, 1000); listen(); }
  setInterval(tick, 1000);
})();
