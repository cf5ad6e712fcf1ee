// Reads a QR code with the camera into a field, where the browser can: <button data-scan="f-code" hidden>.
"use strict";
(() => {
  const button = document.querySelector("[data-scan]");
  if (!button || !("BarcodeDetector" in window) || !navigator.mediaDevices?.getUserMedia) return;
  const dialog = document.getElementById("scan"), video = dialog.querySelector("video");
  const field = document.getElementById(button.dataset.scan);
  let camera;
  const stop = () => {
    camera?.getTracks().forEach((track) => track.stop());
    camera = undefined;
  };
  const look = async (detector) => {
    if (!camera) return;
    const [code] = await detector.detect(video).catch(() => []);
    if (code) {
      field.value = code.rawValue;
      dialog.close();
      field.form.requestSubmit();
    } else {
      setTimeout(look, 200, detector);
    }
  };
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      field.focus(); // not allowed: the code can be typed
      return;
    }
    video.srcObject = camera;
    dialog.showModal();
    await video.play();
    look(new BarcodeDetector({ formats: ["qr_code", "code_128"] }));
  });
  dialog.addEventListener("close", stop);
  dialog.querySelector("a").addEventListener("click", (event) => { event.preventDefault(); dialog.close(); });
})();
