"use strict";
(() => {
  let playing = null;
  const stop = () => { if (playing) playing.pause(); };
  document.querySelectorAll(".clip").forEach((clip) => {
    const audio = clip.querySelector("audio");
    const seconds = Number(clip.dataset.seconds);
    const heads = clip.querySelectorAll(".head");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "go";
    const name = (what) => button.setAttribute("aria-label", clip.dataset.name ? `${what} ${clip.dataset.name}` : what);
    name("play");
    audio.removeAttribute("controls");
    audio.hidden = true;
    audio.before(button);
    const draw = () => {
      const share = Math.min(100, (100 * audio.currentTime) / seconds);
      heads.forEach((h) => { h.style.left = share + "%"; h.style.opacity = audio.paused && !audio.currentTime ? 0 : 1; });
      if (!audio.paused) requestAnimationFrame(draw);
    };
    audio.addEventListener("play", () => { if (playing !== audio) stop(); playing = audio; button.classList.add("on"); name("pause"); draw(); });
    const rest = () => { button.classList.remove("on"); name("play"); draw(); };
    audio.addEventListener("pause", rest);
    audio.addEventListener("ended", () => { audio.currentTime = 0; rest(); });
    button.addEventListener("click", () => (audio.paused ? audio.play() : audio.pause()));
    clip.querySelectorAll(".spectro, .track").forEach((bar) => {
      bar.addEventListener("click", (event) => {
        const box = bar.getBoundingClientRect();
        audio.currentTime = (seconds * (event.clientX - box.left)) / box.width;
        audio.play();
      });
    });
    clip.querySelectorAll("button[data-word]").forEach((word) => {
      word.addEventListener("click", () => {
        clip.querySelectorAll("[data-word]").forEach((x) => x.classList.toggle("on", x.dataset.word === word.dataset.word));
      });
    });
  });
})();
