"""Several processes that train one model: who they are, and what they tell each other.

    cluster        TF_CONFIG, srun or --workers -> which process this is, and where the chief listens
    channel        messages between two processes, with a sign of life every second
    greeting       how workers come to their chief
    team           the chief's side: waits for the workers, tells them what to do, notices who is missing
    guard          the end of a process that waits where nothing else could end it
    local          the processes that --workers starts
    communicator   sums over all of them, by TensorFlow's collectives

Worker 0 is the chief. It alone reads the text and the model, plans, decides, prints and writes. The others read no
file: the chief sends them the weights at the beginning and their rows of each batch, and gets their part of the state
for a checkpoint. So nothing has to be shared but a network, and of the machines only the chief's needs the text and the
directory of models. Gradients go from worker to worker, by TensorFlow.

NOTE: neither these messages nor those of TensorFlow are encrypted, and TensorFlow does what anybody asks who reaches
its port. A cluster's network must be closed to others.
"""
